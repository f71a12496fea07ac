#!/bin/bash
# SPDX-License-Identifier: MIT
# selftest in its quick form. On a busy machine its timing may be missed, so this judges what does not
# depend on time: that samples are found again, that the verdicts follow from the figures, that a harness
# which is wrong would be told, and that nothing is left.
. "$(dirname "$0")/../run/lib.sh"
export TMPDIR=$scratch/temporary
mkdir "$TMPDIR"
selftest=("$novacore" selftest --quiet)
code_of() { "$@" >"$scratch/out" 2>"$scratch/err" </dev/null && echo 0 || echo $?; }
nothing_kept() { [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"; }

note 'quick: each claim has its figure, and the verdict follows from it'
code=$(code_of "${selftest[@]}" --quick --seed 3 --format json)
[ "$code" = 0 ] || [ "$code" = 1 ] || { cat "$scratch/err" >&2; fail "exit code $code"; }
cp out quick.json
check quick.json 'r["schema"] == "novacore.selftest/1" and r["quick"] and r["seed"] == 3'
check quick.json '[c["id"] for c in r["checks"]] == ["recovery.samples", "recovery.early", "recovery.p50",
  "recovery.p95", "recovery.p99", "recovery.vm", "noise.plain", "noise.correlated", "noise.spikes",
  "regression.found", "regression.located", "floor.clock", "floor.stamp", "floor.wake", "floor.spawn"]'
check quick.json '{c["id"] for c in r["checks"] if c["timing"]} == {"recovery.p50", "recovery.p95", "recovery.p99", "recovery.vm"}'
# what holds on any machine
check quick.json 'all(c["value"] == 0 and c["verdict"] == "met" and c["n"] == 900 for c in r["checks"][:2])'
check quick.json 'all(c["verdict"] in ("met", "undecided") for c in r["checks"][6:11])'
check quick.json 'all(c["verdict"] == "reported" and c["bar"] is None and c["value"] > 0 and
  c["interval"][0] <= c["value"] <= c["interval"][1] for c in r["checks"][11:])'
check quick.json 'all(c["interval"] is None and (c["verdict"] == "met") == (c["value"] <= 0.01) and
  (c["why"] is None) == (c["verdict"] == "met") for c in r["checks"][2:6])'
check quick.json "r['passed'] == all(c['verdict'] != 'missed' for c in r['checks']) == ($code == 0)"
# the errors by metric are those that are judged, and nothing is shorter than it was
check quick.json '{c["id"]: c["value"] for c in r["checks"]}["recovery.vm"] == max(abs(m["worst"])
  for m in r["recovered"] if m["metric"] != "lifecycle.total")'
check quick.json 'len(r["recovered"]) == 9 and all(m["n"] == 100 and m["worst"] > -1e-8 for m in r["recovered"])'
check quick.json 'r["machine"]["processors"] > 0 and len(r["machine"]["load_before"]) == 3'
nothing_kept

note 'what is simulated is the same again; it is not among the results of the user, nor do settings change it'
expect 0 "$novacore" results list --format json
check out 'not r["runs"]'
mkdir -p "$NOVACORE_HOME/config"
cat >"$NOVACORE_HOME/config/novacore.conf" <<'END'
run = { samples = 7; warmup = 3; precision = 0.5; };
hypervisor = { sim = { fail = [ "start:0.5" ]; spike_probability = 0.5; spike_factor = 9.0; rho = 0.9; }; };
benchmark = { lifecycle = { ready_timeout = "1ms"; }; };
END
code_of "${selftest[@]}" --quick --seed 3 --format json --output own.json >/dev/null
check own.json "[[c['value'], c['n']] for c in r['checks'][6:11]] == $(json quick.json '[[c["value"], c["n"]] for c in r["checks"][6:11]]')"
rm "$NOVACORE_HOME/config/novacore.conf"
nothing_kept

note 'the table says the same'
code=$(code_of "${selftest[@]}" --quick --seed 3)
[ "$code" = 0 ] || [ "$code" = 1 ] || fail "exit code $code"
says 'samples that were lost, invented or told otherwise'
says 'Load '
[ "$code" = 0 ] && says 'Passed: no bar was missed' || says 'Not passed: a bar was missed.'

note 'a against a'
expect 0 "${selftest[@]}" --aa --series 10 --points 30 --seed 1 --format json
cp out aa.json
check aa.json 'r["schema"] == "novacore.selftest-aa/1" and r["series"] == r["done"] == 10 and r["points"] == 30'
check aa.json '[k["kind"] for k in r["kinds"]] == ["spawn", "hash", "copy", "switch", "all"]'
check aa.json '[k["series"] for k in r["kinds"]] == [3, 3, 2, 2, 10]'
check aa.json 'all(k["median_s"] > 0 for k in r["kinds"][:4]) and r["kinds"][4]["median_s"] is None'
check aa.json 'all(abs(side["rate"] - side["alarms"] / k["series"]) < 1e-9 and
  side["interval"][0] <= side["rate"] <= side["interval"][1]
  for k in r["kinds"] for side in (k["measured"], k["permuted"]))'
check aa.json 'all(r["kinds"][4][s]["alarms"] == sum(k[s]["alarms"] for k in r["kinds"][:4]) for s in ("measured", "permuted"))'
expect 0 "${selftest[@]}" --aa --series 1 --points 20
says 'copying 2 MiB'
says 'this host'

note 'interrupted, it reports what it has'
"$novacore" selftest --aa --series 100000 --points 10000 --format json >stopped.json 2>err & pid=$!
while ! grep -q 'series 1 of' err; do sleep 0.1; done
sleep 1
kill -INT $pid
code=0
wait $pid || code=$?
[ $code = 130 ] || fail "exit code $code after SIGINT"
check stopped.json 'r["done"] < r["series"] == 100000'
"$novacore" selftest >out 2>err & pid=$!
while ! grep -q 'at once, in real time' err; do sleep 0.1; done
kill -TERM $pid
code=0
wait $pid || code=$?
[ $code = 143 ] || fail "exit code $code after SIGTERM"
[ ! -s out ] || fail 'half a table'
says 'nothing is left'
! grep -q resume err || fail 'it says how to resume what is gone'
nothing_kept

note 'wrong input'
wrong() { # TEXT OPTION…
  local text=$1
  shift
  expect 2 "$novacore" selftest "$@"
  says "$text"
  [ ! -s "$scratch/out" ] || fail "something was printed: $*"
}
wrong 'takes options only, no "now"' now
wrong 'give --aa, too' --series 5
wrong 'give --aa, too' --points 50
wrong 'leave --quick out' --aa --quick
for n in 0 -1 100001 1e3 x '' 99999999999999999999; do
  wrong "--series is \"$n\"; it wants a whole number from 1 to 100000" --aa --series "$n"
done
for n in 19 10001 5.5; do
  wrong "--points is \"$n\"; it wants a whole number from 20 to 10000" --aa --points "$n"
done
wrong '--seed is "-1"' --seed -1
wrong 'no format "jsn"; it has table and json; did you mean json?' --format jsn
expect 2 "$novacore" selftest --qick
says -- '--quick'
expect 2 env TMPDIR="$scratch/nowhere" "$novacore" selftest --quick --quiet
says "cannot make a directory in $scratch/nowhere"
expect 2 "${selftest[@]}" --aa --series 1 --points 20 --output "$scratch/nowhere/out"
nothing_left
