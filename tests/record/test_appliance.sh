#!/bin/bash
# SPDX-License-Identifier: MIT
# The appliance boots under TCG while its QEMU is recorded: all files name the same functions, threads are told
# apart, and what recording costs is printed.
. "$(dirname "$0")/lib.sh"
command -v qemu-system-x86_64 >/dev/null || { echo 'SKIP: no QEMU'; exit 77; }
name=novacore-record-$$
expect 0 "$novacore" guest build
expect 0 "$novacore" guest info --format json
cp out guest.json
qemu-system-x86_64 -name "guest=$name,debug-threads=on" -machine q35,accel=tcg -cpu max -smp 2 -m 512 \
  -display none -nodefaults -no-reboot -serial "file:$scratch/console" -kernel "$(json guest.json 'r["kernel"]')" \
  -initrd "$(json guest.json 'r["initrd"]')" -append "$(json guest.json 'r["cmdline"]')" -object iothread,id=iothread1 \
  -drive "file=$(json guest.json 'r["image"]'),format=raw,if=none,id=root,snapshot=on" \
  -device virtio-blk-pci,drive=root,iothread=iothread1 >qemu.log 2>&1 &
qemu=$!
trap 'status=$?; kill $qemu 2>/dev/null || true; set +e; (exit $status); leave' EXIT
# It boots for many seconds of CPU time; when it has done so it has nothing to do. Hundredths of a second of vCPUs:
spent() { cat /proc/$qemu/task/*/stat 2>/dev/null | sed -n 's/^[0-9]* (CPU [0-9]*\/TCG) //p' | awk '{sum += $12 + $13} END {print sum + 0}'; }
for _ in $(seq 600); do
  [ "$(spent)" -lt 50 ] || break
  kill -0 $qemu || fail "QEMU ended: $(cat qemu.log)"
  sleep 0.1
done

note 'the VM, by its name'
expect 0 "$novacore" record --vm "$name" --duration 8s --output a
says "VM $name"
says 'inside of the guest'
says 'vCPUs, outside of it'
says '% of what was sampled (allowed: 2.00 %)'
says 'QEMU 8.1 and later'

note 'shares that add up, of threads that QEMU has'
expect 0 "$novacore" recordings show a --format json
cp out about.json
python3 - <<'PYTHON' || fail 'the shares are not those of such a VM'
import json
about = json.load(open("about.json"))
shares = about["vm"]["shares"]
print({name: (part["samples"], round(part["share"], 3)) for name, part in shares.items()})
assert about["vm"]["accelerator"] == "tcg" and about["samples"] >= 30, about
assert sum(part["samples"] for part in shares.values()) == about["samples"], shares
# a kernel that boots is code that is translated, and QEMU's own work for it
assert shares["guest"]["samples"] and shares["vcpu_host"]["samples"], shares
assert shares["guest"]["share"] + shares["vcpu_host"]["share"] > 0.5, shares
for part in shares.values():
    assert part["interval"][0] <= part["share"] <= part["interval"][1], part
assert about["overhead"]["host"] > 0 and about["overhead"]["sampled"] > 0, about
PYTHON

note 'pprof, folded stacks, HTML, SVG and hotspots say the same'
expect 0 "$novacore" flame a/recording.nova --output a/flame.svg --by thread
expect 0 "$novacore" flame a/cpu.pb.gz --output a/vcpu.svg --by vcpu
expect 0 "$novacore" hotspots a/recording.nova --threshold 0 --format json --output spots.json
python3 - <<'PYTHON' || fail 'functions are not named as they are'
import gzip, json, re
spots = json.load(open("spots.json"))["functions"]
share = {}
for spot in spots:
    share[spot["library"]] = share.get(spot["library"], 0) + spot["self"]["share"]
qemu = [spot for spot in spots if spot["library"].endswith("/qemu-system-x86_64")]
print({library: round(part, 3) for library, part in share.items() if part > 0.01})
assert qemu and share["[guest]"] > 0, spots[:5]
# A function of a QEMU that is stripped has its place for a name; one that is not, its own.
named = [spot["name"] for spot in qemu if spot["name"] != "[unknown]"]
assert len(named) > 0.8 * len(qemu), [spot["name"] for spot in qemu]
plain = [name for name in named if not re.fullmatch(r"qemu-system-x86_64\+0x[0-9a-f]+", name)]
print("%d functions of QEMU, %d of them by their own names: %s" % (len(qemu), len(plain), plain[:5]))
# threads begin where threads do, so stacks are whole
total = {spot["name"]: spot["total"]["share"] for spot in spots}
assert total.get("start_thread", 0) + total.get("clone3", 0) + total.get("__clone3", 0) > 0.4, total
best = max(named, key=lambda name: total[name])
folded = open("a/cpu.folded").read()
pprof = gzip.open("a/cpu.pb.gz").read().decode("utf-8", "replace")
html, svg = open("a/cpu.html").read(), open("a/flame.svg").read()
for what, text in ("folded", folded), ("pprof", pprof), ("HTML", html), ("SVG", svg):
    assert best in text and "[guest]" in text, (what, best)
by_vcpu = open("a/vcpu.svg").read()
# on a busy host the guest may not have come to its second vCPU
assert "CPU 0/TCG" in pprof and "CPU 0/TCG" in svg and "vCPU 0" in by_vcpu
PYTHON

note 'the VM runs on'
kill -0 $qemu || fail "QEMU ended: $(cat qemu.log)"
