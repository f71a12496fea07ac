#!/bin/bash
# SPDX-License-Identifier: MIT
# report.sh NOVACORE [VMS]: how exactly the harness recovers what sim injects with that many VMs at
# once (default 1000), against the bar of 1 % for p50, p95, p99 and every VM (measuring.md). Reports;
# a busy machine adds its own latencies, and the report says how busy it was.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../run/lib.sh"
vms=${2:-1000}

latencies=()
for name in create start first userspace ready snapshot restore back stop delete; do
  latencies+=(--set "hypervisor.sim.$name=lognormal:2s:0.2")
done
run() { # FILE CLOCK OPS
  expect 0 "$novacore" --profile dev --plugin sim --benchmark lifecycle --max-vms "$vms" --seed 7 --full \
    --set run.warmup=0 --set run.samples="$vms" --set lifecycle.concurrency="$vms" "${latencies[@]}" \
    --set hypervisor.sim.clock="$2" --set hypervisor.sim.ops="$3" --format json --output "$1" --quiet
}
run injected.json virtual async
for ops in async sync; do
  note "$vms VMs at once, ops=$ops, load $(cut -d' ' -f1-3 /proc/loadavg) on $(nproc) processors"
  run $ops.json real $ops
  python3 "$here/compare.py" injected.json $ops.json --report
done
