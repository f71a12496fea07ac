#!/bin/bash
# SPDX-License-Identifier: MIT
# A small burst of boot sectors on real QEMU: all come and go, in metrics that say what they are; the
# host is watched; what does not fit is refused with arithmetic before it is ordered.
. "$(dirname "$0")/../run/lib.sh"
. "$(dirname "$0")/../run/kvm.sh"
run=("$novacore" run --plugin kvm --set hypervisor.kvm.accel=tcg --format json --output r.json)

expect 0 "${run[@]}" --benchmark density --set density.guest=stub --set density.count=12
find_installation
check r.json 'r["run"]["state"] == "complete"'
check r.json 'r["steps"][0]["counts"] == {"attempted": 12, "succeeded": 12, "failed": 0, "timed_out": 0}'
check r.json 'all(m["name"].startswith("density.control-plane.") for m in r["steps"][0]["metrics"])'
check r.json '{m["name"][22:]: m["n"] for m in r["steps"][0]["metrics"] if m["name"][22:] in ("running", "first", "api", "delete", "rate")} == {"running": 12, "first": 12, "api": 24, "delete": 12, "rate": 1}'
# A VM runs before its first byte comes, and both come before the burst is over.
check r.json 'all(f[6] > x[6] > 0 for f in r["steps"][0]["samples"]["rows"] if f[4].endswith(".first") for x in r["steps"][0]["samples"]["rows"] if x[4].endswith(".running") and x[3] == f[3])'
check r.json 'all(m["source"] == "byte from the guest" for m in r["steps"][0]["metrics"] if m["name"].endswith(".first"))'
check r.json 'any(m["n"] >= 2 and m["value"] > 0 for m in r["steps"][0]["metrics"] if m["name"].endswith("host.memory"))'
[ -z "$(ours)" ] || fail "QEMUs are left"
nothing_left

note "a demand"
expect 0 "${run[@]}" --benchmark scaling --set scaling.guest=stub --set scaling.levels=3 --set scaling.base=2 \
  --set run.samples=3
check r.json '{m["name"]: m["n"] for m in r["steps"][0]["metrics"]}["scaling.control-plane.ready"] == 3'
[ -z "$(ours)" ] || fail "QEMUs are left"

note "no room: refused with the figures of one that was tried"
expect 5 "${run[@]}" --benchmark density --set density.guest=stub --set density.count=4000
grep -qE '4000 VMs take .* (of memory|descriptors|threads)' err || fail "no arithmetic: $(cat err)"
expect 5 "${run[@]}" --benchmark density --set density.guest=stub --set density.count=8 \
  --set limits.cpu_share=0.01
says 'limits.cpu_share allows'
code=0
(ulimit -n 128; exec "${run[@]}" --benchmark density --set density.guest=stub --set density.count=100) >out 2>err </dev/null || code=$?
[ $code = 5 ] || { cat err >&2; fail "exit code $code, not 5, with 128 descriptors"; }
says 'ulimit -n'
[ -z "$(ours)" ] || fail "QEMUs are left"
nothing_left
