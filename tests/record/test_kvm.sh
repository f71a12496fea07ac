#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest under KVM whose loops are known: what is inside of it has names, by its maps and files or by
# its kallsyms, and shares that are right; threads outside of it are told apart.
. "$(dirname "$0")/lib.sh"
guest=$(readlink -f "$7") name=novacore-record-$$
mkdir -p root/bin
cp "$guest" qemu-system-novacore
cp "$guest" root/bin/guest

# boots MODE: the VM runs, and what its guest would say of itself is in said.
boots() {
  local code=0
  : >said
  ./qemu-system-novacore "$1" -name "guest=$name,,$1,debug-threads=on" >said 2>&1 &
  qemu=$!
  for _ in $(seq 300); do
    ! grep -q one_quarter said || return 0
    kill -0 $qemu 2>/dev/null || break
    sleep 0.1
  done
  kill $qemu 2>/dev/null || true
  wait $qemu || code=$?
  [ $code = 77 ] || [ $code = 143 ] || fail "the VM ended with $code: $(cat said)"
  echo "SKIP: $(cat said)"
  exit 77
}
ends() { kill $qemu 2>/dev/null || true; wait $qemu 2>/dev/null || true; }
trap 'status=$?; kill $qemu 2>/dev/null || true; set +e; (exit $status); leave' EXIT

# split DIRECTORY LIBRARY: 75 and 25 % of what is in the loops, within five standard errors
split() {
  expect 0 "$novacore" hotspots "$1/recording.nova" --threshold 0 --format json --output spots.json
  python3 - "$2" <<'PYTHON' || fail "the shares are not those of the guest"
import json, sys
spots = json.load(open("spots.json"))
got = {f["name"]: f for f in spots["functions"] if f["library"] == sys.argv[1]}
share = {name: got[name]["self"]["share"] for name in ("three_quarters", "one_quarter")}
total = sum(share.values())
print("%d samples, %s" % (spots["samples"], share))
assert spots["samples"] * total >= 20, spots["samples"]
error = (0.75 * 0.25 / (spots["samples"] * total)) ** 0.5
assert abs(share["three_quarters"] / total - 0.75) < 5 * error + 0.01, (share, error)
PYTHON
}

note 'a program of the guest, by its maps and its files'
boots user
grep r-xp said >maps
expect 0 "$novacore" record --vm "$name,user" --freq 199 --duration 4s --guest-maps maps --guest-root root --output a
says 'inside of the guest'
says 'I/O threads'
split a '[guest] /bin/guest'
expect 0 "$novacore" recordings show a --format json
cp out about.json
check about.json 'r["vm"]["accelerator"] == "kvm" and r["vm"]["shares"]["guest"]["share"] > 0.3'
check about.json 'r["vm"]["shares"]["io_threads"]["samples"] > 0'
check about.json 'sum(p["samples"] for p in r["vm"]["shares"].values()) == r["samples"]'
grep -q '\[guest user\]_\[g\];three_quarters_\[g\] ' a/cpu.folded || fail "$(head -3 a/cpu.folded)"

note 'the same by the number of its process, without files: one frame'
expect 0 "$novacore" record --pid $qemu --freq 199 --duration 1s --output b
says 'inside of the guest'
says '--guest-kallsyms takes a copy'
grep -q '\[guest user\]_\[g\] ' b/cpu.folded || fail "$(head -3 b/cpu.folded)"
! grep -q three_quarters b/cpu.folded || fail 'names from nowhere'

note "stacks of QEMU go on below the guest's address"
expect 0 "$novacore" record --vm "$name,user" --stacks dwarf --freq 199 --duration 1s --output e
grep -q ';run;ioctl;\[guest user\]_\[g\] ' e/cpu.folded || fail "$(head -3 e/cpu.folded)"

note 'who sees no processes of the host is told so'
if unshare --pid --fork --mount-proc true 2>/dev/null; then # needs root
  expect 2 unshare --pid --fork --mount-proc "$novacore" record --vm "$name,user" --output f
  says 'is in a container'
fi

note 'by vCPU, and other threads beside it'
expect 0 "$novacore" flame a/recording.nova --by vcpu --output a/vcpu.svg
grep -q 'vCPU 0' a/vcpu.svg || fail 'no vCPU 0 in the picture'
grep -q 'IO iothread1' a/vcpu.svg || fail 'no I/O thread in the picture'

note 'a VM that ends while it is recorded'
(sleep 1; kill $qemu) &
expect 0 "$novacore" record --vm "$name,user" --duration 60s --output c
says 'the process ended by itself'
expect 0 "$novacore" recordings show c --format json
cp out about.json
check about.json 'r["ended"] and r["complete"] and r["duration_ns"] < 50e9'
ends

note "the guest's kernel, by its kallsyms"
boots kernel
grep ' T ' said >kallsyms
expect 0 "$novacore" record --vm "$name,kernel" --freq 199 --duration 4s --guest-kallsyms kallsyms --output d
# Some KVMs emulate such a kernel, instruction by instruction and outside of any guest; others do it never.
if [ "$(grep -c x86_emulate_instruction d/cpu.folded)" -gt 5 ]; then
  note "not to be seen here: this KVM emulates the guest's kernel"
else
  says 'inside of the guest'
  split d '[guest] [kernel]'
fi
ends
