#!/bin/bash
# SPDX-License-Identifier: MIT
# compare --confirm: what was injected by a setting is confirmed, what was noise or came from elsewhere
# is not; what cannot be run again is refused. test_confirm.sh NOVACORE MAKE_RUNS
. "$(dirname "$0")/lib.sh"
running=lifecycle.start.running
# run_sim WORD…: a run of the simulator, of twelve VMs; sets $ran to its id.
run_sim() {
  expect 0 "$novacore" run --profile dev --benchmark lifecycle --set hypervisor.sim.clock=virtual \
    --set run.samples=12 --quiet --format json --output ran.json "$@"
  ran=$(json ran.json 'r["run"]["id"]')
}
config() { mkdir -p "$NOVACORE_HOME/config" && echo "$1" >"$NOVACORE_HOME/config/novacore.conf"; }
confirm() { "$novacore" compare "$@" --confirm --seed 5 --quiet; }
sees() { check out "(lambda c: $1)(r['confirmation'])"; }
# database PYTHON: over `run`, a dictionary of the plan or of where, of all runs.
database() {
  python3 - "$NOVACORE_HOME" "$1" "$2" <<'PYTHON'
import glob, json, sqlite3, sys
home, column, change = sys.argv[1:]
path, = glob.glob(home + "/**/novacore.db", recursive=True)
with sqlite3.connect(path) as db:
    for key, text in db.execute(f'SELECT id, "{column}" FROM run').fetchall():
        value = json.loads(text)
        exec(change, {"value": value})
        db.execute(f'UPDATE run SET "{column}" = ? WHERE id = ?', (json.dumps(value), key))
PYTHON
}

note "a regression that a setting made is confirmed, with the settings of each"
run_sim --plugin sim --seed 1
fast=$ran
run_sim --plugin sim --seed 2 --set hypervisor.sim.start=lognormal:45ms:0.2
slow=$ran
expect 1 confirm "$fast" "$slow" --metric $running --fail-on regression --format json
sees 'c["verdict"] == "regressed" and c["confirmed"] is True and c["ab"]["state"] == "greater"'
sees 'c["ab"]["minimum_effect"] == 0.1 and c["ab"]["interval"][0] > 1.1 and 1.3 < c["ab"]["ratio"] < 1.7'
sees 'c["ab"]["b"] == ["hypervisor.sim.start=lognormal:45ms:0.2"] and c["ab"]["a"] == [] and c["alike"] is False'
sees 'c["state"] == "complete" and c["where"] == [] and c["not_restored"] == {"a": [], "b": []}'
sees 'c["metric"] == r["metrics"][c["row"]]["metric"] == "lifecycle.start.running"'
ab=$(json out 'r["confirmation"]["run"]')
expect 0 "$novacore" results export "$ab" --output ab.json
check ab.json 'r["steps"][0]["ab"]["state"] == "greater" and [t["name"] for t in r["targets"]] == ["local-a", "local-b"]'
check ab.json "r['run']['id'] not in ('$fast', '$slow') and r['run']['seed'] == 5"

note "the other way about it is an improvement; the table says both"
expect 0 confirm "$slow" "$fast" --metric $running --fail-on regression
says "1 improved"
says ": confirmed"
says "b is better than a: $running is less in b, by more than 10 %"
says "only a has hypervisor.sim.start=lognormal:45ms:0.2"

note "without --metric it is what regressed most"
expect 0 confirm "$fast" "$slow" --format json
sees 'c["metric"] in ("lifecycle.start.api", "lifecycle.start.running") and c["confirmed"] is True'
sees 'r["metrics"][c["row"]]["shift"] == max(m["shift"] for m in r["metrics"] if m["verdict"] == "regressed")'

note "two targets: the step of the metric's own, with nothing of the other"
run_sim --target sim=sim:///one --target sim=sim:///two --seed 3
two=$ran
run_sim --target sim=sim:///one --target sim=sim:///two --seed 4 --set hypervisor.sim.start=lognormal:45ms:0.2
expect 0 confirm "$two" "$ran" --metric $running --format json
sees 'c["confirmed"] is True and len(c["targets"]) == 1'
name=$(json out 'r["confirmation"]["targets"][0]["name"]')
expect 0 "$novacore" results export "$(json out 'r["confirmation"]["run"]')" --output two.json
check two.json "len(r['steps']) == 1 and [t['name'] for t in r['targets']] == ['$name-a', '$name-b']"

note "what was slow for a reason that is gone is not confirmed, and the reason is named"
config 'hypervisor = { sim = { start = "lognormal:60ms:0.2"; }; };'
run_sim --plugin sim --seed 2
gone=$ran
rm "$NOVACORE_HOME/config/novacore.conf"
expect 1 "$novacore" compare "$fast" "$gone" --metric $running --fail-on regression
expect 0 confirm "$fast" "$gone" --metric $running --fail-on regression --format json
sees 'c["verdict"] == "same" and c["confirmed"] is False and c["alike"] is True and c["not_restored"]["a"] == []'
sees 'c["not_restored"]["b"] == [{"fact": "params.local.start", "then": "lognormal:60ms:0.2", "now": "lognormal:30ms:0.2"}]'
expect 0 confirm "$fast" "$gone" --metric $running
says ": not confirmed"
says "a and b have the same settings"
says 'params.local.start: "lognormal:60ms:0.2" in b, now "lognormal:30ms:0.2"'

note "noise that was taken for a regression is not confirmed"
config 'regression = { alpha = 0.4; minimum_effect = 0.02; };'
for seed in $(seq 10 60); do
  run_sim --plugin sim --seed "$seed"
  expect 0 "$novacore" compare "$fast" "$ran" --metric $running --format json
  [ "$(json out 'r["metrics"][0]["verdict"]')" != regressed ] || break
done
[ "$(json out 'r["metrics"][0]["verdict"]')" = regressed ] || fail "no noise at all in 50 runs"
expect 0 confirm "$fast" "$ran" --metric $running --max-pairs 30 --format json
sees 'c["confirmed"] is not True and c["verdict"] != "regressed" and c["alike"] is True and c["ab"]["pairs"] <= 30'
expect 1 confirm "$fast" "$ran" --metric $running --max-pairs 1 --fail-on regression
says "not decided"
says "after 1 pairs"
rm "$NOVACORE_HOME/config/novacore.conf"

note "killed, and finished by ab --resume"
"$novacore" compare "$fast" "$gone" --confirm --metric $running --seed 5 --max-pairs 60 >out 2>err </dev/null &
parent=$!
for _ in $(seq 100); do
  grep -q "step 1/1" err && break
  sleep 0.1
done
kill -9 $parent
wait $parent 2>/dev/null || true
expect 0 "$novacore" ab --resume last --format json
check out 'r["run"]["state"] == "complete" and r["steps"][0]["ab"]["pairs"] == 60'
nothing_left

note "here and now must be the where of then"
config 'vm = { small = { memory = "1GiB"; }; };'
expect 5 confirm "$fast" "$slow" --metric $running
says 'shape.memory_bytes was'
says "--force"
expect 0 confirm "$fast" "$slow" --metric $running --force
says "FORCED: other circumstances"
says ", now 1073741824"
rm "$NOVACORE_HOME/config/novacore.conf"
cp -r "$NOVACORE_HOME" kept
database wherefacts 'value["cpu"] = "Another"'
expect 5 confirm "$fast" "$slow" --metric $running
says 'cpu was "Another", is '
rm -r "$NOVACORE_HOME" && mv kept "$NOVACORE_HOME"

note "parameters that are others now are no step of then"
run_sim --plugin sim --seed 7
other=$ran
config 'benchmark = { lifecycle = { snapshot = false; }; };'
expect 2 confirm "$fast" "$other" --metric $running
says "cannot be planned again"
rm "$NOVACORE_HOME/config/novacore.conf"

note "what does not tell how it was planned"
expect 2 confirm "$ab" "$ab"
says "nothing of this comparison can be run again"
expect 2 confirm ran.json "$fast"
says "ran.json is a file"
cp ran.json file
expect 2 confirm "$fast" file
says "file is a file"
expect 2 bash -c '"$0" compare "$1" - --confirm <ran.json' "$novacore" "$fast"
says "standard input is a file"
form
keep seed=1
keep seed=2 scale.$ready=1.3
expect 0 "$novacore" baseline set "$made"
expect 2 confirm 01932b5e-0001 default
says "was imported"
database plan 'value.get("command", {}).pop("targets", None)'
expect 2 confirm "$fast" "$slow"
says "an earlier novacore has planned it"

note "wrong words"
for wrong in --alpha=0.1 --max-pairs=3 --full --seed=1; do
  expect 2 "$novacore" compare "$fast" "$slow" "$wrong"
  says "${wrong%%=*} goes with --confirm"
done
for wrong in --alpha=0 --alpha=0.6 --alpha=x --max-pairs=0 --max-pairs=x --seed=-1 --format=csv --confirm=yes --minimum-effect=0 --metric=lifecycle.start.redy; do
  expect 2 "$novacore" compare "$fast" "$slow" --confirm "$wrong"
done
