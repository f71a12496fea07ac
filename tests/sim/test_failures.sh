#!/bin/bash
# SPDX-License-Identifier: MIT
# Real clock: failures, hangs and crashes strike the VMs that they were meant for, are counted as what
# they are, and leave nothing behind. With async and sync ops.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../run/lib.sh"

run() { # FILE CLOCK OPS
  expect 0 "$novacore" --profile dev --plugin sim --benchmark lifecycle --max-vms 100 --seed 5 \
    --set run.warmup=0 --set run.samples=30 --set lifecycle.concurrency=30 \
    --set run.op_timeout=4s --set run.ready_timeout=4s \
    --set hypervisor.sim.fail=create:0.1,start:0.1,userspace:0.1,snapshot:0.1 \
    --set hypervisor.sim.hang=start:0.1,ready:0.1,stop:0.1 \
    --set hypervisor.sim.clock="$2" --set hypervisor.sim.ops="$3" --format json --output "$1" --quiet
}
run injected.json virtual async
for ops in async sync; do
  note "ops=$ops"
  run $ops.json real $ops
  check $ops.json 'all(r["steps"][0]["counts"][k] > 0 for k in ("succeeded", "failed", "timed_out"))'
  [ "$(json $ops.json 'r["steps"][0]["counts"]')" = "$(json injected.json 'r["steps"][0]["counts"]')" ] ||
    fail "the counts are not what was injected"
  python3 "$here/compare.py" injected.json $ops.json || fail "the samples are not what was injected"
  nothing_left
done

note "a target that cannot be reached is no step that ran"
expect 3 "$novacore" --profile dev --plugin sim --set hypervisor.sim.fail=connect:1
says "connection refused"
