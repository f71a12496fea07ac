#!/bin/bash
# SPDX-License-Identifier: MIT
# Which runs can be a baseline, what later results say against it, and what of that is known.
# test_baseline.sh NOVACORE MAKE_RUNS SCHEMA
schema=$(readlink -f "$3")
. "$(dirname "$0")/lib.sh"
form
# told ID METRIC EXPRESSION over m: of the exported result
told() {
  expect 0 "$novacore" results export "$1" --output told.json
  check told.json "(lambda m: $3)([m for s in r['steps'] for m in s['metrics'] if m['name']=='$2'][0])"
}

note "there is none"
expect 0 "$novacore" baseline list
says "There is no baseline yet"
expect 2 "$novacore" baseline show
says 'there is no baseline "default"'
expect 2 "$novacore" baseline set last
says "there is no run yet"

note "what cannot be one"
expect 0 "$novacore" --profile dev --plugin sim --quiet --seed 3 --set hypervisor.sim.clock=virtual --output "$scratch/ignored"
expect 5 "$novacore" baseline set last
says "is simulated"
expect 5 "$novacore" baseline set last --force
keep seed=1 state=interrupted
expect 5 "$novacore" baseline set $made
says "not complete"
expect 0 "$novacore" baseline set $made --name part --force
expect 0 "$novacore" baseline delete part
keep seed=2 n=0
expect 2 "$novacore" baseline set $made
says "has measured nothing"
keep seed=3
first=$made
keep seed=4 cpu=Another
elsewhere=$made
expect 5 "$novacore" baseline set $first $elsewhere
says "a baseline holds runs of one where"
expect 2 "$novacore" baseline set $first --name 'no name'
says "is no name for a baseline"
expect 2 "$novacore" baseline set $first ffffffff
expect 0 "$novacore" baseline list --format json
check out 'r["baselines"]==[]'

note "a run is not judged without one, nor by itself"
told $first $ready 'm["baseline"] is None'
expect 0 "$novacore" baseline set $first
says "baseline default of where"
told $first $ready 'm["baseline"] is None'

note "several, of several names and wheres"
expect 0 "$novacore" baseline set $elsewhere
expect 0 "$novacore" baseline set $first --name before
expect 0 "$novacore" baseline list --format json
check out 'sorted(b["name"] for b in r["baselines"])==["before","default","default"]'
expect 2 "$novacore" baseline show default
says "there are 2 baselines"
expect 0 "$novacore" baseline list --format json
where=$(json out '[b["where"] for b in r["baselines"] if b["runs"]==["'$elsewhere'"]][0]')
expect 0 "$novacore" baseline show default --where ${where:0:8}
says 'cpu: "Another"'
says $elsewhere
expect 0 "$novacore" baseline delete default --where $where
expect 2 "$novacore" baseline delete default --where $where
expect 2 "$novacore" baseline show defualt
says 'did you mean "default"'
expect 5 "$novacore" results delete $first --yes
says "belongs to the baseline"

note "later results say what became of each metric"
keep seed=5 day=10
told $made $ready 'm["baseline"]["verdict"]=="same" and m["baseline"]["run"]=="'$first'" and m["baseline"]["runs"]==1 and m["verdict"]=="pass"'
keep seed=6 day=11 scale.$ready=1.3
worse=$made
told $worse $ready 'm["verdict"]=="regressed" and m["baseline"]["verdict"]=="regressed" and m["baseline"]["p_adjusted"]<=0.01 and len(m["baseline"]["id"])==12'
told $worse lifecycle.total 'm["baseline"]["verdict"]!="regressed" and m["verdict"]=="none"'
expect 0 "$novacore" results show $worse
says "against baseline default"
says "1 regressed"
expect 0 "$novacore" results export $worse --format junit
says 'type="regression"'
keep seed=7 day=12 scale.$ready=0.7
expect 0 "$novacore" results show $made
says "improved against baseline default"
keep seed=8 day=13 cpu=Another
told $made $ready 'm["baseline"] is None'
keep seed=9 day=-5
told $made $ready 'm["baseline"] is None'

keep seed=12 day=13 plugin=xen scale.$ready=3 # another driver is no regression
told $made $ready 'm["baseline"] is None'
expect 0 "$novacore" ab --plugin sim --benchmark lifecycle --set hypervisor.sim.clock=virtual --max-pairs 6 \
  --a hypervisor.sim.seed=1 --b hypervisor.sim.seed=2 --quiet --output "$scratch/ignored"
expect 5 "$novacore" baseline set last # simulated, too
expect 0 "$novacore" history $ready --format json
check out 'all(s["side"]=="vm" for s in r["series"])'

note "the document follows its schema, and is imported elsewhere without its baseline"
expect 0 "$novacore" results export $worse --output worse.json
python3 - "$schema" worse.json <<'PYTHON' || fail "the schema refuses the document"
import json, sys
try:
    import jsonschema
except ImportError:
    sys.exit(0)
schema, document = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator(schema).validate(document)
PYTHON
expect 0 "$novacore" results import worse.json
says "is stored already"
NOVACORE_HOME=$scratch/else expect 0 "$novacore" results import worse.json
! grep -q "does not find in them" err || fail "the baseline was taken for a part of what was measured"
NOVACORE_HOME=$scratch/else expect 0 "$novacore" results export last --output there.json
check there.json 'all(m["baseline"] is None and m["verdict"]!="regressed" for m in r["steps"][0]["metrics"])'

note "what is acknowledged is not alerted, until it gets worse again"
id=$(json worse.json '[m["baseline"]["id"] for m in r["steps"][0]["metrics"] if m["name"]=="'$ready'"][0]')
expect 2 "$novacore" ack ${id:0:3} --why x
says "at least the first 4"
expect 2 "$novacore" ack $id
says "wants a reason"
expect 2 "$novacore" ack $id --why "  "
expect 2 "$novacore" ack $id --why $'a\033[31mb'
expect 2 "$novacore" ack ffffffffffff --why x
says "no change point and no regression"
expect 0 "$novacore" ack ${id:0:6} --why "the new kernel"
says "$id acknowledged: the regression of $ready"
told $worse $ready 'm["verdict"]=="pass" and m["baseline"]["verdict"]=="regressed" and m["baseline"]["acknowledged"]["why"]=="the new kernel"'
expect 0 "$novacore" results show $worse
says "acknowledged: the new kernel"
keep seed=10 day=14 scale.$ready=1.32
told $made $ready 'm["baseline"]["acknowledged"] is not None'
keep seed=11 day=15 scale.$ready=1.7
told $made $ready 'm["baseline"]["acknowledged"] is None and m["verdict"]=="regressed"'
expect 0 "$novacore" ack --list
says "the new kernel"
expect 0 "$novacore" ack --remove $id
told $worse $ready 'm["baseline"]["acknowledged"] is None and m["verdict"]=="regressed"'
expect 2 "$novacore" ack --remove $id
says "is not acknowledged"
for wrong in "" "--list --remove x" "--list $id" "$id $id --why x" "--list --why x" "--list --format csv"; do
  # shellcheck disable=SC2086 # several words
  expect 2 "$novacore" ack $wrong
done

note "a baseline of several runs knows what differs between them"
expect 0 "$novacore" baseline delete default
# within a run all is steady, between runs it is not
i=0
for factor in 1.00 1.28 0.95 1.10; do
  i=$((i + 1))
  keep seed=$((40 + i)) day=$((20 + i)) cv=0.02 scale.$ready=$factor
  eval "run$i=$made"
done
expect 0 "$novacore" baseline set $run1 $run2 $run3 $run1
says "3 runs"
keep seed=50 day=30 cv=0.02 scale.$ready=1.2
told $made $ready 'm["baseline"]["verdict"]=="inconclusive" and m["baseline"]["n"]==30'
keep seed=51 day=31 cv=0.02 scale.$ready=1.5
told $made $ready 'm["baseline"]["verdict"]=="regressed" and m["baseline"]["runs"]==3'

note "run --fail-on regression"
sim=(--profile dev --plugin sim --quiet --set hypervisor.sim.clock=virtual --output "$scratch/ignored")
expect 2 "$novacore" "${sim[@]}" --fail-on regresion
says "--fail-on takes goal, regression"
expect 2 "$novacore" "${sim[@]}" --fail-on goal,
expect 0 "$novacore" "${sim[@]:0:4}" "${sim[@]:5}" --fail-on regression,goal
says "had nothing to judge by"
expect 2 "$novacore" "${sim[@]}" --set regression.alpha=2
expect 2 "$novacore" "${sim[@]}" --set regression.minimum_effect=0
expect 2 "$novacore" "${sim[@]}" --set regression.metrics=cpu.rate
says "is not METRIC=EFFECT"
expect 2 "$novacore" "${sim[@]}" --set 'regression.baseline=No Name'

note "a device or pipe is written to, not replaced"
mkfifo "$scratch/pipe"
cat "$scratch/pipe" >"$scratch/through" &
expect 0 "$novacore" baseline list --output "$scratch/pipe"
wait $!
[ -p "$scratch/pipe" ] || fail "the pipe was replaced by a file"
grep -q "newest run" "$scratch/through" || fail "nothing came through the pipe"

note "wrong words"
for wrong in "" "st last" "set" "delete" "delete a b" "list x" "show a b" "list --format csv" "delete nothing"; do
  # shellcheck disable=SC2086 # several words
  expect 2 "$novacore" baseline $wrong
done
