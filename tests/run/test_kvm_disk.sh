#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage: test_kvm_disk.sh NOVACORE
# The way of targets that boot no files of this host, on real QEMU: the appliance is made a disk and brought to
# the target, a VM boots it by its own loader, and a benchmark runs in the guest. Killed in the middle, the disk
# is deleted by the next.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/kvm.sh"
disks() { find "$NOVACORE_HOME" -path '*/images/novacore-*' 2>/dev/null || true; }
run=("$novacore" run --profile dev --plugin kvm --set vm.small.boot=disk --set run.samples=1)

note "the plan says what VMs boot"
expect 0 "${run[@]}" --dry-run --benchmark cpu
says "VMs of local boot the appliance from a disk that is uploaded: vm.small.boot is disk"

note "a benchmark in the guest of that disk"
expect 0 "${run[@]}" --benchmark cpu --set cpu.duration=1s --set run.native=false --format json --output r.json
says "local: uploading the appliance as a disk"
check r.json 'r["run"]["state"] == "complete" and len(r["steps"]) > 0'
check r.json 'all(s["counts"]["succeeded"] and not s["counts"]["failed"] + s["counts"]["timed_out"] for s in r["steps"])'
check r.json 'all(any(m["name"] == "cpu.rate" and m["n"] and m["value"] > 0 for m in s["metrics"]) for s in r["steps"])'
[ -z "$(disks)" ] || fail "left: $(disks)"
nothing_left

note "killed in the middle: the disk is in the journal, and is deleted"
find_installation
"${run[@]}" --benchmark lifecycle >log 2>&1 &
runner=$!
wait_for_qemu
[ -n "$(disks)" ] || fail "no disk at the target while it runs"
kill -9 $runner
wait $runner 2>/dev/null || true
expect 0 "$novacore" clean
[ -z "$(disks)" ] || fail "left: $(disks)"
nothing_left
