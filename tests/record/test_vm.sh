#!/bin/bash
# SPDX-License-Identifier: MIT
# The QEMU of a VM is found by the VM's name; its vCPUs are told apart from its other threads. This guest is
# translated (TCG): what QEMU makes of its code is the guest's, and has names if QEMU says them.
. "$(dirname "$0")/lib.sh"
command -v qemu-system-x86_64 >/dev/null || { echo 'SKIP: no QEMU'; exit 77; }
name=novacore-record-$$
# a guest that does nothing but jump: a boot sector
printf '\353\376' >boot
truncate -s 510 boot
printf '\125\252' >>boot
truncate -s 51200 boot
qemu-system-x86_64 -name "guest=$name,,a,debug-threads=on" -machine pc,accel=tcg -m 16 -display none \
  -nodefaults -drive "file=$scratch/boot,format=raw,if=floppy" -boot a >/dev/null 2>&1 &
qemu=$!
trap 'status=$?; kill $qemu 2>/dev/null || true; rm -f /tmp/perf-$qemu.map; set +e; (exit $status); leave' EXIT
sleep 2
expect 0 "$novacore" record --vm "$name,a" --duration 3s --output a
says "VM $name,a"
says 'inside of the guest'
says 'QEMU 8.1 and later'
grep -q '\[guest\]' a/cpu.folded || fail "no guest code: $(head -3 a/cpu.folded)"
expect 0 "$novacore" hotspots a/recording.nova --by process
says 'qemu-system-x86'
python3 - <<'PYTHON' || fail 'no sample is of vCPU 0'
import gzip
text = gzip.open("a/cpu.pb.gz").read()
assert b"CPU 0/TCG" in text and b"vcpu" in text, "labels"
PYTHON
expect 0 "$novacore" recordings show a --format json
cp out about.json
check about.json 'r["vm"]["accelerator"] == "tcg" and r["vm"]["shares"]["guest"]["share"] > 0.3'

# What QEMU says with -perfmap, of all memory: this one may be older than 8.1. The guest's address is named.
printf '0 7fffffffffff guest-0xffffffffa3401004\n' >"/tmp/perf-$qemu.map"
printf 'ffffffffa3400000 T _stext\nffffffffa3401000 t do_idle\nffffffffa3402000 T tcp_ack\n' >kallsyms
expect 0 "$novacore" record --vm "$name,a" --duration 2s --guest-kallsyms kallsyms --output c
grep -q '\[guest\]_\[g\];do_idle_\[g\]' c/cpu.folded || fail "QEMU's names are not used: $(head -3 c/cpu.folded)"
! grep -qF 'QEMU 8.1' out || fail 'asks for what is there'

expect 2 "$novacore" record --vm nobody-has-this --output b
says "$name,a" # those that there are
expect 2 "$novacore" record --pid $qemu --guest-kallsyms /nowhere --output b
says '--guest-kallsyms: cannot open /nowhere'
expect 2 "$novacore" record --all --guest-kallsyms kallsyms --output b
says 'of one VM'
expect 2 "$novacore" record --vm "$name,a" --guest-root / --output b
says '--guest-maps'
[ ! -e b ] || fail 'an error left something'

# One recording after another ends with the VM, whose number may be another process's by then.
"$novacore" record --vm "$name,a" --continuous --duration 1s >out 2>err </dev/null &
recorder=$!
for _ in $(seq 200); do
  ! grep -q samples out || break
  sleep 0.1
done
kill $qemu
code=0
wait $recorder || code=$?
[ $code = 2 ] || fail "exit code $code, not 2: $(cat err)"
# it may end just when it has been found
grep -Eq 'no QEMU process on this host has a VM of the name|the process has ended|there is no process' err || fail "$(cat err)"
