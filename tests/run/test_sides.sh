#!/bin/bash
# SPDX-License-Identifier: MIT
# VM and native, interleaved in a drawn order that is stored; resumed by pairs; benchmarks without a
# target, with two, with all.
. "$(dirname "$0")/lib.sh"
with_plugins "$2"
sim=(--plugin sim --set hypervisor.sim.clock=virtual)

note "each block has both sides, in an order that is drawn and stored"
expect 0 "$novacore" --profile dev "${sim[@]}" --benchmark sides --seed 5 --set run.samples=12 \
  --set run.warmup=1 --format json --output a.json
check a.json 'r["steps"][0]["stopped"] == "samples"'
check a.json '[x["order"] for x in sorted(r["steps"][0]["replicates"], key=lambda x: x["order"])] == list(range(1, 27))'
order='[x["side"] for x in sorted(r["steps"][0]["replicates"], key=lambda x: x["order"])]'
check a.json "all(sorted($order[i:i+2]) == ['native', 'vm'] for i in range(0, 26, 2))"
check a.json "len({tuple($order[i:i+2]) for i in range(0, 26, 2)}) == 2"
check a.json '{(m["name"], m["side"], m["n"]) for m in r["steps"][0]["metrics"]} == {("sides." + n, s, 12) for n in ("rate", "time") for s in ("vm", "native")}'
first=$(json a.json "$order")
expect 0 "$novacore" --profile dev "${sim[@]}" --benchmark sides --seed 5 --set run.samples=12 \
  --set run.warmup=1 --format json --output b.json
[ "$(json b.json "$order")" = "$first" ] || fail "the order is not that of the seed"
expect 0 "$novacore" --profile dev "${sim[@]}" --benchmark sides --seed 6 --set run.samples=12 \
  --set run.warmup=1 --format json --output b.json
[ "$(json b.json "$order")" != "$first" ] || fail "another seed gives the same order"

note "what a VM loses is said with its interval, and judged"
sides=("$novacore" --profile dev "${sim[@]}" --benchmark sides --seed 5 --set run.samples=12 --set run.warmup=0
  --set "goal.sides.rate.overhead=5%,8%" --set "goal.sides.time.overhead=3%")
expect 0 "${sides[@]}" --format json --output b.json
overhead='{c["metric"]: c for c in r["steps"][0]["comparisons"]}'
check b.json "set($overhead) == {'sides.rate', 'sides.time'} and all(c['n'] == 12 for c in $overhead.values())"
check b.json "abs($overhead['sides.rate']['value'] - 0.0386) < 0.001 and $overhead['sides.rate']['verdict'] == 'pass'"
check b.json "(lambda i, v: i[0] < v < i[1])($overhead['sides.rate']['interval'], $overhead['sides.rate']['value'])"
check b.json "$overhead['sides.time']['verdict'] == 'needs optimization' and $overhead['sides.time']['p'] < 0.01"
check b.json 'all(m["goal"] is None for m in r["steps"][0]["metrics"])'
expect 1 "${sides[@]}" --fail-on goal
says "rate: vm against native, overhead 3."
says "needs optimization"
says "thought to take"
expect 0 "${sides[@]}" --format junit
says '<testcase classname="sides on local" name="sides.time.overhead">'
says '<failure message="vm against native, overhead 4.'
expect 2 "${sides[@]}" --set goal.sides.rate.overhead=5s
says 'is a share, and the limit is not'
expect 2 "${sides[@]}" --set goal.sides.rate.overhed=5%
says 'has no metric'

note "run.precision stops a step early, and not before there is an interval"
expect 0 "${sides[@]}" --set run.samples=200 --set run.precision=0.002 --format json --output c.json
check c.json 'r["steps"][0]["stopped"] == "precision"'
check c.json '6 <= r["steps"][0]["comparisons"][0]["n"] < 200'
expect 0 "${sides[@]}" --set run.samples=8 --set run.precision=0.000001 --format json --output c.json
check c.json 'r["steps"][0]["stopped"] == "samples" and r["steps"][0]["comparisons"][0]["n"] == 8'
expect 0 "${sides[@]}" --set run.samples=100 --set sides.pause=50 --set run.budget=2s --format json --output c.json
check c.json 'r["steps"][0]["stopped"] == "budget" and r["steps"][0]["comparisons"][0]["n"] < 60'
check c.json 'r["steps"][0]["estimate_s"] > 0 and any("of both sides fit into run.budget" in n for n in r["notes"])'
expect 2 "${sides[@]}" --set run.precision=2
says "run.precision"

note "--no-native leaves this host out"
expect 0 "$novacore" --profile dev "${sim[@]}" --benchmark sides --no-native --format json --output b.json
check b.json '{x["side"] for x in r["steps"][0]["replicates"]} == {"vm"}'

note "what this host cannot run is left out with its reason, and the VMs are measured"
for first in 0 3; do
  expect 0 "$novacore" --profile dev "${sim[@]}" --benchmark sides --set sides.lacking=$first --set run.samples=8 \
    --set run.warmup=0 --format json --output b.json
  check b.json 'r["steps"][0]["state"] == "done" and r["run"]["state"] == "complete"'
  check b.json '{m["n"] for m in r["steps"][0]["metrics"] if m["side"] == "vm"} == {8}'
  check b.json "{m['n'] for m in r['steps'][0]['metrics'] if m['side'] == 'native'} == ({$first} if $first else set())"
  check b.json 'len(r["skipped"]) == 1 and r["skipped"][0]["step"] == 0'
  check b.json 'r["skipped"][0]["why"] == "VMs are not compared with this host: the program is not installed on this host"'
done
check b.json 'all(c["n"] == 3 for c in r["steps"][0]["comparisons"])'
expect 0 "$novacore" results show last
says "Left out"
says "sides, step 1: VMs are not compared with this host: the program"
expect 4 "$novacore" --profile dev --benchmark host --set host.lacking=0

note "a suite that somebody wrote is named by where it was written"
expect 2 "$novacore" --profile dev "${sim[@]}" --set run.suite=sides,sidse
says "run.suite (--set): there is no benchmark"
! grep -qF "profile development" out err || fail "it blames the profile"

note "a run leaves no lock behind it"
[ -z "$(ls "$NOVACORE_HOME/run/locks" | grep '^run-')" ] || fail "locks of runs are left: $(ls "$NOVACORE_HOME/run/locks")"

note "what a failed sample shows is kept, cleaned"
expect 0 "$novacore" --profile dev "${sim[@]}" --benchmark sides --set sides.bad=3 --set run.samples=8 \
  --format json --output b.json
why='[x[12] for x in r["steps"][0]["samples"]["rows"] if x[5] == "failed" and x[2] == "vm"]'
check b.json "$why == ['cannot read \"events\":\\n\\tmade ??[31mup'] * 2"
check b.json 'all(x[12] is None for x in r["steps"][0]["samples"]["rows"] if x[5] == "ok")'
expect 0 env NOVACORE_HOME="$scratch/elsewhere" "$novacore" results import b.json
expect 0 env NOVACORE_HOME="$scratch/elsewhere" "$novacore" results export last --output c.json
cmp b.json c.json || fail "a result is another one after export and import"
expect 0 "$novacore" results show last --format csv
says 'made ??[31mup'

note "a resume repeats only sides that are not done"
"$novacore" --profile dev "${sim[@]}" --benchmark sides --set sides.pause=100 --set run.samples=6 \
  --set run.warmup=0 --seed 3 >out 2>err </dev/null &
parent=$!
sleep 1.2
kill -9 $parent
wait $parent 2>/dev/null || true
expect 0 "$novacore" run --resume last --format json --output b.json
check b.json 'sorted((x["replicate"], x["side"]) for x in r["steps"][0]["replicates"] if x["state"] == "done") == sorted((i, s) for i in range(6) for s in ("vm", "native"))'
check b.json 'len(r["steps"][0]["replicates"]) <= 13'
check b.json '(lambda o: len(set(o)) == len(o))([x["order"] for x in r["steps"][0]["replicates"]])'

note "a benchmark of this host needs no target"
expect 0 "$novacore" --profile dev --benchmark host --format json --output b.json
check b.json 'r["steps"][0]["targets"] == [] and {x["side"] for x in r["steps"][0]["replicates"]} == {"native"}'
check b.json 'r["run"]["state"] == "complete"'
expect 0 "$novacore" --profile dev --benchmark host --set goal.host.rate=50/s
says "host.rate" # the table names no target
expect 2 "$novacore" --profile dev --benchmark sides
says "there is nothing to run on"

note "two targets: refused with a way out, left out of a suite, run with a twin"
expect 2 "$novacore" --profile dev "${sim[@]}" --benchmark two
says "needs 2 targets and there is 1; add --pair local"
expect 0 "$novacore" --profile dev "${sim[@]}" --set run.suite=sides,two --format json --output b.json
check b.json 'len(r["steps"]) == 1 and r["skipped"][0]["benchmark"] == "two" and "--pair local" in r["skipped"][0]["fix"]'
expect 0 "$novacore" --profile dev "${sim[@]}" --set run.suite=sides,two --pair local --format json --output b.json
check b.json '[t["name"] for t in r["targets"]] == ["local", "local-twin"] and r["targets"][1]["uri"] == "sim:twin"'
check b.json '[s["targets"] for s in r["steps"]] == [[0], [0, 1]] and all(s["state"] == "done" for s in r["steps"])'
nothing_left
expect 0 "$novacore" --profile dev --target sim=sim:a --target sim=sim:b --set hypervisor.sim.clock=virtual \
  --benchmark two --benchmark all --benchmark sides --format json --output b.json
check b.json '[s["targets"] for s in r["steps"]] == [[0, 1], [0, 1], [0], [1]]'
check b.json 'all(s["state"] == "done" for s in r["steps"])'
expect 2 "$novacore" --profile dev "${sim[@]}" --pair remote
says '--pair takes "local"'

note "what a profile names and is not installed is left out and said; what a person names must be there"
cp "$of_build"/profile/edge.* "$scratch/prefix/lib/novacore/plugins/1/profile/"
expect 0 "$novacore" --profile edge "${sim[@]}" --set run.samples=1 --format json --output left.json
check left.json '[s["benchmark"] for s in r["steps"]] == ["lifecycle"]'
for missing in cpu overhead; do
  check left.json "any('$missing' in json.dumps(s) and 'not installed' in json.dumps(s) for s in r['skipped'])"
done
expect 2 "$novacore" --profile edge "${sim[@]}" --benchmark overhead

note "killed while it migrates to a twin: it is looked for on both, and nothing is left"
"$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=real --set hypervisor.sim.migrate=constant:60s \
  --benchmark two --pair local >out 2>err </dev/null &
parent=$!
moving() {
  python3 - "$(find "$scratch/home" -name novacore.db)" <<'PYTHON'
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("SELECT target FROM journal WHERE gone_utc_ns IS NULL").fetchall()
sys.exit(not any("also" in json.loads(row[0]) for row in rows))
PYTHON
}
for ((tenths = 0; tenths < 300; tenths++)); do
  moving && break
  sleep 0.1
done
kill -9 $parent
wait $parent 2>/dev/null || true
moving || fail "it was not killed in a migration"
expect 0 "$novacore" clean
says "left on local-twin"
nothing_left
