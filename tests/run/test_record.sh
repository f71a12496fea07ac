#!/bin/bash
# SPDX-License-Identifier: MIT
# run --record: each step with a recording that knows its run, and a result that knows its recording;
# by a user who may not.
. "$(dirname "$0")/lib.sh"
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 9)
if [ "$paranoid" -gt 2 ] && [ "$(id -u)" != 0 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: nobody may sample"
  exit 77
fi
with_plugins "$2"
run=("$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --benchmark sides)
kept=$NOVACORE_HOME/state/recordings
runs() { expect 0 "$novacore" results list --format json; json out 'len(r["runs"])'; }

note "what is not there is refused before anything is run"
expect 2 "${run[@]}" --record cpuu
says 'there is no kind of recording "cpuu"; did you mean "cpu"?'
expect 2 "${run[@]}" --record cpu --set run.record_frequency=0
says 'run.record_frequency'
expect 2 "${run[@]}" --record ''
expect 0 "${run[@]}" --record cpu,cpu --dry-run
says 'Each step is recorded while it measures (cpu)'
expect 0 "${run[@]}" --dry-run --format json --set run.record=cpu
check out 'r["record"]["kinds"] == ["cpu"] and r["record"]["what"] in ("all", "process")'
[ "$(runs)" = 0 ] || fail "a run was stored"
[ -z "$(ls "$kept" 2>/dev/null)" ] || fail "something was recorded"
[ -z "$(ls "$NOVACORE_HOME/run" 2>/dev/null | grep probe)" ] || fail "a try left something"

note "a step has its recording: of what was measured, without loading and warm-ups"
expect 0 "${run[@]}" --record cpu --set run.samples=4 --set run.warmup=4 --set sides.pause=200 \
  --format json --output a.json
check a.json 'r["run"]["state"] == "complete" and len(r["steps"]) == 1'
check a.json '(lambda x: x["kinds"] == ["cpu"] and 0 < x["overhead_host"] < 0.5 and len(x["recordings"]) == 1)(r["steps"][0]["recorded"])'
recording='r["steps"][0]["recorded"]["recordings"][0]'
check a.json "$recording['state'] == 'complete' and $recording['why'] is None and $recording['duration_s'] > 1.5"
directory=$(json a.json "$recording['directory']")
id=$(json a.json "$recording['id']")
[ "$directory" = "$kept/$id" ] || fail "$directory is no place of recordings"
[ -s "$directory/recording.nova" ] || fail "there is no recording"
# The warm-ups pause for 2 × 4 × 200 ms before it begins.
expect 0 "$novacore" recordings show "$directory" --format json
cp out about.json
python3 - <<'PYTHON' || fail "the recording is not that of the step"
import datetime, json
about, result = json.load(open("about.json")), json.load(open("a.json"))
step = result["steps"][0]
assert about["run"] == {"id": result["run"]["id"], "step": 0, "benchmark": "sides", "targets": ["local"]}, about["run"]
started = datetime.datetime.fromisoformat(step["started"].replace("Z", "+00:00")).timestamp()
assert about["began_ns"] / 1e9 - started > 1.5, (about["began"], step["started"])
assert about["complete"] and about["overhead"]["host"] == step["recorded"]["recordings"][0]["overhead_host"]
PYTHON

note "each leads to the other"
run_id=$(json a.json 'r["run"]["id"]')
expect 0 "$novacore" recordings list
says "${run_id:0:13}"
says 'step 1 of run'
expect 0 "$novacore" recordings show "$id"
says "$run_id, step 1: sides on local"
expect 0 "$novacore" results show last
says 'recorded (cpu): '
says "$id"
expect 0 "$novacore" report last --output page.html
if [ -e "$directory/cpu.html" ]; then
  grep -qF "href=\"file://$directory/cpu.html\"" page.html || fail "the page has no link to the flame graph"
fi
expect 0 "$novacore" results show last --format markdown
says "$id"

note "a document keeps it"
expect 0 "$novacore" results export last --output exported.json
expect 0 "$novacore" results import exported.json
NOVACORE_HOME=$scratch/elsewhere expect 0 "$novacore" results import exported.json
NOVACORE_HOME=$scratch/elsewhere expect 0 "$novacore" results export last --output again.json
cmp exported.json again.json || fail "an imported result is another one"

note "a run that was not recorded says nothing of it; a comparison says that it was not"
expect 0 "${run[@]}" --set run.samples=4 --set run.warmup=0 --set sides.pause=200 --format json --output b.json
check b.json '"recorded" not in r["steps"][0]'
expect 0 "$novacore" compare a.json b.json
says 'sides: a was recorded (cpu; it took '
says 'while it was measured, b was not recorded'
expect 0 "$novacore" compare b.json b.json --format json
check out 'r["notes"] == []'

note "deleting one leaves the other"
expect 0 "$novacore" results delete "$run_id" --yes
expect 0 "$novacore" recordings list
says "${run_id:0:13} deleted"
[ -s "$directory/recording.nova" ] || fail "the recording went with its run"
expect 0 "${run[@]}" --record cpu --set run.samples=2 --set run.warmup=0 --format json --output c.json
expect 0 "$novacore" recordings delete "$(json c.json "$recording['id']")"
expect 0 "$novacore" results show last
says "$(json c.json "$recording['id']") is deleted"
expect 0 "$novacore" report last --output page.html
! grep -q 'file://' page.html || fail "the page leads to what is deleted"

note "what works elsewhere is not in it, and the result says so"
elsewhere=("$novacore" --profile dev --set hypervisor.sim.clock=virtual --benchmark sides --record cpu
  --set run.samples=1 --format json)
expect 0 "${elsewhere[@]}" --target sim=sim://user@other-host:99/x
check out 'any("is on another host (other-host): recordings of steps on it show this host" in n for n in r["notes"])'
expect 0 "${elsewhere[@]}" --target sim=sim://localhost/
check out 'not any("another host" in n for n in r["notes"])'

note "A against B is recorded across its workers"
expect 0 "$novacore" ab --profile dev --plugin sim --benchmark sides --set hypervisor.sim.clock=virtual \
  --a sides.factor=0.96 --b sides.factor=0.8 --set run.record=cpu --max-pairs 40 --format json
check out 'len(r["steps"][0]["recorded"]["recordings"]) == 1'
check out "$recording['state'] == 'complete'"

nothing_left
[ "$(id -u)" = 0 ] || exit 0
[ "$paranoid" -ge 1 ] && [ "$paranoid" -le 2 ] || exit 0
command -v setpriv >/dev/null || { echo 'SKIP: no setpriv'; exit 77; }

note "who may not sample all of this host gets the run's own processes, or is told what to change"
export NOVACORE_HOME=$scratch/of-user
install -d -o 65534 -g 65534 of-user
kept=$NOVACORE_HOME/state/recordings
user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
expect 0 "${user[@]}" "${run[@]}" --record cpu --dry-run
says 'the processes of the run'
expect 0 "${user[@]}" "${run[@]}" --record cpu --set run.samples=6 --format json
check out "$recording['what'] == 'process' and $recording['state'] == 'complete'"
check out 'any("only processes that this run starts itself" in n for n in r["notes"])'
if [ "$paranoid" = 2 ]; then
  for how in --dry-run --no-native; do
    expect 3 "${user[@]}" "${run[@]}" --record cpu,off-cpu $how
    says 'steps cannot be recorded (run.record)'
    says 'sysctl kernel.perf_event_paranoid=1'
  done
  expect 0 "${user[@]}" "$novacore" results list --format json
  check out 'len(r["runs"]) == 1'
  [ "$(ls "$kept" | wc -l)" = 1 ] || fail "a refused run has recorded something"
fi
