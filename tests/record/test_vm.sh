#!/bin/bash
# SPDX-License-Identifier: MIT
# The QEMU of a VM is found by the VM's name; its vCPUs are told apart from its other threads.
. "$(dirname "$0")/lib.sh"
command -v qemu-system-x86_64 >/dev/null || { echo 'SKIP: no QEMU'; exit 77; }
name=novacore-record-$$
# a guest that does nothing but jump: a boot sector
printf '\353\376' >boot
truncate -s 510 boot
printf '\125\252' >>boot
truncate -s 51200 boot
qemu-system-x86_64 -name "guest=$name,debug-threads=on" -machine pc,accel=tcg -m 16 -display none \
  -nodefaults -drive "file=$scratch/boot,format=raw,if=floppy" -boot a >/dev/null 2>&1 &
qemu=$!
trap 'kill $qemu 2>/dev/null || true; leave' EXIT
sleep 2
expect 0 "$novacore" record --vm "$name" --duration 3s --output a
says "VM $name"
grep -q '\[guest\]' a/cpu.folded || fail "no guest code: $(head -3 a/cpu.folded)"
expect 0 "$novacore" hotspots a/recording.nova --by process
says 'qemu-system-x86'
python3 - <<'PYTHON' || fail 'no sample is of vCPU 0'
import gzip
text = gzip.open("a/cpu.pb.gz").read()
assert b"CPU 0/TCG" in text and b"vcpu" in text, "labels"
PYTHON
expect 2 "$novacore" record --vm nobody-has-this --output b
says "$name" # those that there are
