#!/bin/bash
# SPDX-License-Identifier: MIT
# Real QEMU guests: kill -9 of the parent and of the worker; what dead runs leave is deleted, a
# foreign VM and one of another installation on the same libvirt stay untouched, and a resume
# completes the run.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/kvm.sh"

run=("$novacore" --profile dev --plugin kvm --set vm.standard.memory=256MiB --set run.samples=6
  --set run.warmup=0 --set lifecycle.concurrency=2 --set lifecycle.snapshot=false
  --set lifecycle.restore=false --full --format json --output r.json)

expect 0 "${run[@]}" --set run.samples=2
find_installation
[ -z "$(ours)" ] || fail "a finished run leaves QEMUs"
make_foreigners

note "kill -9 of the parent"
"${run[@]}" >out 2>err </dev/null &
parent=$!
wait_for_qemu
sleep "$((RANDOM % 3)).$((RANDOM % 10))"
kill -9 "$parent"
wait "$parent" 2>/dev/null || true
sleep 0.5
foreigners_alive
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json 'r["run"]["state"] == "complete"'
check r.json 'sorted(x["replicate"] for s in r["steps"] for x in s["replicates"] if x["state"] == "done") == [0, 1, 2]'
check r.json 'all(m["n"] == 6 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'
[ -z "$(ours)" ] || fail "QEMUs are left after the resume"
nothing_left

note "kill -9 of the worker"
"${run[@]}" >out 2>err </dev/null &
parent=$!
wait_for_qemu
# The oldest: a QEMU that is being started belongs to the parent too, and is still called that.
kill -9 "$(pgrep -o -P "$parent" -f 'novacore worker')"
code=0
wait "$parent" || code=$?
[ $code = 4 ] || { cat err >&2; fail "exit code $code, not 4"; }
[ -z "$(ours)" ] || fail "QEMUs are left after the worker's death"
nothing_left
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json 'all(m["n"] == 6 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'

note "kill -9 of both, then clean"
"${run[@]}" >out 2>err </dev/null &
parent=$!
wait_for_qemu
kill -9 "$parent"
wait "$parent" 2>/dev/null || true
sleep 0.5
[ -n "$(ours)" ] || fail "nothing to clean: the test proves nothing"
expect 0 "$novacore" clean --plugin kvm --dry-run
grep -q '^0 objects' out && fail "clean --dry-run finds nothing"
expect 0 "$novacore" clean --plugin kvm
[ -z "$(ours)" ] || fail "clean left QEMUs"
nothing_left
foreigners_alive
