#!/bin/bash
# SPDX-License-Identifier: MIT
# test_replaced.sh NOVACORE CMAKE: plugins are upgraded and removed while runs are going. A step that has
# begun ends; before the next one the run is paused, says so, and is finished by --resume.
. "$(dirname "$0")/lib.sh"
cmake=$2
umask 022
expect 0 "$cmake" --install "$(dirname "$novacore")" --prefix "$scratch/prefix"
novacore=$scratch/prefix/bin/novacore
plugins=$scratch/prefix/lib/novacore/plugins/1
sim=$plugins/hypervisor/sim lifecycle=$plugins/benchmark/lifecycle

# As a packaging tool does it: each file is there, whole, at any time.
replace() { # plugin
  cp "$1.so" new.so
  objcopy --remove-section .comment new.so
  "$scratch/prefix/bin/novacore-manifest" --rehash new.so --from "$1.manifest" --output new.manifest
  mv new.so "$1.so"
  mv new.manifest "$1.manifest"
}
# begin VMS[,VMS…]: a run with a step for each number of VMs at once; its first worker has its plugins.
begin() {
  local worker
  "$novacore" --profile dev --plugin sim --set run.samples=6 --set "lifecycle.concurrency=$1" \
    --set hypervisor.sim.ready=constant:300ms --format json --output r.json \
    >run.out 2>run.err </dev/null &
  parent=$!
  for ((tenths = 0; tenths < 600; tenths++)); do
    worker=$(pgrep -P $parent || true)
    if [ -n "$worker" ] && grep -q /sim.so "/proc/$worker/maps" && grep -q /lifecycle.so "/proc/$worker/maps"; then
      return 0
    fi 2>/dev/null
    kill -0 $parent 2>/dev/null || break
    sleep 0.1
  done
  cat run.err >&2
  fail "the run has not begun"
}
# ended CODE: of the run that began last
ended() {
  local code=0
  wait $parent || code=$?
  cp run.err err
  cp run.out out
  [ $code = "$1" ] || { cat err >&2; fail "the run ended with $code, not $1"; }
}

note "one step: it ends with the files that it began with"
begin 1
replace "$sim"
ended 0
check r.json 'r["run"]["state"] == "complete"'

note "two steps: the first is done, the second waits for --resume"
begin 1,2
replace "$lifecycle"
ended 4
says "the benchmark plugin lifecycle was replaced while the run was going"
says "--resume"
expect 0 "$novacore" results show last --format json
check out '[r["run"]["state"]] + [s["state"] for s in r["steps"]] == ["interrupted", "done", "planned"]'
nothing_left
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json '[r["run"]["state"]] + [s["state"] for s in r["steps"]] == ["complete", "done", "done"]'
check r.json 'all(m["n"] == 6 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'
says "resumed with benchmark lifecycle"

note "removed in between: the same, and what is missing is named when it is resumed"
begin 1,2
mkdir aside
mv "$sim".* aside/
ended 4
says "the hypervisor plugin sim cannot be read any more"
code=0
"$novacore" run --resume last >out 2>err </dev/null || code=$?
[ $code != 0 ] || fail "resumed without its driver"
says "sim"
mv aside/* "$(dirname "$sim")"
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json 'r["run"]["state"] == "complete"'
! grep -q "resumed with" err || fail "the same driver is called another one"

note "the same bits once more, as when a package is installed again, change nothing"
begin 1,2
cp -p "$sim.so" new.so
mv new.so "$sim.so"
ended 0
check r.json 'r["run"]["state"] == "complete"'
nothing_left
