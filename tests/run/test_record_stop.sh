#!/bin/bash
# SPDX-License-Identifier: MIT
# run --record: the run is killed, interrupted and resumed; its recorder is killed.
. "$(dirname "$0")/lib.sh"
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 9)
if [ "$paranoid" -gt 2 ] && [ "$(id -u)" != 0 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: nobody may sample"
  exit 77
fi
with_plugins "$2"
kept=$NOVACORE_HOME/state/recordings
recording='r["steps"][0]["recorded"]["recordings"][0]'
run=("$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --benchmark sides --record cpu
  --set run.warmup=0 --set sides.pause=100)

# begin: a run of long steps; it goes on when its recorder (and not that of the try before it) samples.
begin() {
  rm -rf "$kept"
  "$@" >out 2>err </dev/null &
  parent=$!
  recorder=
  for ((i = 0; i < 300; i++)); do
    recorder=$(pgrep -P $parent -f '^novacore recorder' || true)
    [ -n "$recorder" ] && [ "$(sampled_ns)" -gt 0 ] && return
    kill -0 $parent 2>/dev/null || break
    sleep 0.1
  done
  fail "nothing is recorded: $(cat err)"
}
sampled_ns() {
  "$novacore" recordings list --format json >list 2>/dev/null || { echo 0; return; }
  json list 'sum((x["about"] or {}).get("duration_ns", 0) for x in r["recordings"])'
}

note "kill -9 of the run: no recorder is left, what was written opens, and a resume records anew"
begin "${run[@]}" --set run.samples=45
kill -9 $parent
wait $parent 2>/dev/null || true
for ((i = 0; i < 50; i++)); do kill -0 "$recorder" 2>/dev/null || break; sleep 0.1; done
! kill -0 "$recorder" 2>/dev/null || fail "the recorder $recorder outlived its parent"
first=$(ls "$kept")
expect 0 "$novacore" recordings show "$first"
says 'it was killed'
expect 0 "$novacore" results show last
says 'incomplete'
expect 0 "$novacore" run --resume last --format json --output d.json
check d.json '[x["state"] for x in r["steps"][0]["recorded"]["recordings"]] == ["interrupted", "complete"]'
check d.json 'r["steps"][0]["recorded"]["recordings"][0]["duration_s"] > 0.5'
[ "$(json d.json "$recording['id']")" = "$first" ] || fail "the recording of before is lost"
[ "$(ls "$kept" | wc -l)" = 2 ] || fail "there are other recordings"

note "Ctrl-C: the recording ends with the run"
begin "${run[@]}" --set run.samples=45
kill -INT $parent
code=0
wait $parent || code=$?
[ $code = 130 ] || fail "exit code $code: $(cat err)"
! kill -0 "$recorder" 2>/dev/null || fail "the recorder $recorder outlived its parent"
expect 0 "$novacore" results show last --format json
check out "$recording['state'] == 'interrupted' and $recording['samples'] is not None"
expect 0 "$novacore" recordings list --format json
check out 'r["recordings"][-1]["about"]["complete"]'

note "a recorder that is killed costs the recording, not the step"
begin "${run[@]}" --set run.samples=45 --format json
kill -9 "$recorder"
wait $parent || fail "the run failed: $(cat err)"
check out 'r["steps"][0]["state"] == "done"'
check out "$recording['state'] == 'failed' and 'without a word' in $recording['why']"
nothing_left
