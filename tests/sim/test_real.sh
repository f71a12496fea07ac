#!/bin/bash
# SPDX-License-Identifier: MIT
# Real clock: the latencies that really passed are those that were injected, with async and sync ops.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../run/lib.sh"

latencies=()
for name in create start first userspace ready snapshot restore back stop delete; do
  latencies+=(--set "hypervisor.sim.$name=uniform:50ms:250ms")
done
run() { # FILE CLOCK OPS
  expect 0 "$novacore" --profile dev --plugin sim --benchmark lifecycle --max-vms 100 --seed 7 \
    --set run.warmup=0 --set run.samples=40 --set lifecycle.concurrency=20 "${latencies[@]}" \
    --set hypervisor.sim.clock="$2" --set hypervisor.sim.ops="$3" --format json --output "$1" --quiet
}
run injected.json virtual async
for ops in async sync; do
  note "ops=$ops"
  run $ops.json real $ops
  check $ops.json 'r["steps"][0]["counts"] == {"attempted": 40, "succeeded": 40, "failed": 0, "timed_out": 0}'
  python3 "$here/compare.py" injected.json $ops.json --gate || fail "what was injected was not found again"
done
nothing_left
