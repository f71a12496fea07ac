#!/bin/bash
# SPDX-License-Identifier: MIT
# One run over targets of three drivers, two of them at their peers, and what rank says of it: two targets of
# one host are ranked or tied, another host is not comparable, what is simulated is left out.
#
#   across.sh NOVACORE BUILD SOURCE
set -euo pipefail
novacore=$1 build=$2 root=$3
out=$(mktemp -d)
mkfifo "$out/stay"
jobs=()
finish() {
	status=$?
	exec 7>&-
	wait "${jobs[@]}" || true
	[ $status = 0 ] || cat "$out"/*.err "$out/err" 2>/dev/null || true
	rm -rf "$out"
	exit $status
}
trap finish EXIT
# host DRIVER: its peer stays for as long as this shell, its target is in $out/DRIVER.conf
host() {
	(
		trap - EXIT
		exec 7>&-
		driver=$1
		. "$root/tests/conformance/lab.sh"
		cp "$work/lab.conf" "$out/$1.part"
		mv "$out/$1.part" "$out/$1.conf"
		exec <"$out/stay"
		cat >/dev/null
	) >"$out/$1.err" 2>&1 &
	jobs+=($!)
}
host proxmox
host kubevirt
exec 7>"$out/stay"
for driver in proxmox kubevirt; do
	for _ in $(seq 300); do
		[ -e "$out/$driver.conf" ] && break
		sleep 0.1
	done
	[ -e "$out/$driver.conf" ] || { grep -q skipped "$out/$driver.err" && { cat "$out/$driver.err"; exit 77; }; exit 1; }
done
python3 - "$out" <<'END'
import re, sys
groups = []
for name in "proxmox", "kubevirt":
    text = open(f"{sys.argv[1]}/{name}.conf").read()
    groups.append(re.fullmatch(r"target = \{ lab = (.*\}); \};\n", text, re.S)[1])
with open(f"{sys.argv[1]}/all.conf", "w") as file:
    file.write(f"target = {{ pve = {groups[0]}; again = {groups[0]}; k8s = {groups[1]}; sim = {{ plugin = \"sim\"; }}; }};\n"
               "vm = { standard = { boot = \"template\"; }; };\n"
               f"store = {{ path = \"{sys.argv[1]}/store.db\"; }};\n")
END
export NOVACORE_HOME=$out/home HOME=$out
run() { timeout -k 5 150 "$novacore" "$@" --config "$out/all.conf" 2>"$out/err" 7>&-; }

run run --profile production --target pve --target again --target k8s --target sim --benchmark lifecycle --set run.shape=standard \
	--set run.samples=12 --set lifecycle.concurrency=4 --format json --output "$out/r.json"
for metric in lifecycle.create.api lifecycle.delete.api; do
	run rank $metric --format json >"$out/$metric.json"
done
run rank lifecycle.create.api >"$out/table"
status=0
run rank lifecycle.create.api last --format json >/dev/null || status=$?
[ $status = 0 ] || { echo "rank of the last run ends with $status"; exit 1; }
python3 - "$out" <<'END'
import json, sys
out = sys.argv[1]
result = json.load(open(f"{out}/r.json"))
assert result["run"]["state"] == "complete", result["run"]
assert [t["plugin"] for t in result["targets"]] == ["proxmox", "proxmox", "kubevirt", "sim"], result["targets"]
assert sorted(s["targets"] for s in result["steps"]) == [[0], [1], [2], [3]]
for step in result["steps"]:
    assert step["counts"]["succeeded"] >= 12 and not step["counts"]["failed"], step["counts"]
for metric in "lifecycle.create.api", "lifecycle.delete.api":
    rank = json.load(open(f"{out}/{metric}.json"))
    assert rank["simulated"] == 1, rank  # the simulator's is left out, and counted
    same, other = rank["groups"]  # one host's two targets, and another host's
    assert [e["targets"][0]["plugin"] for e in same["entries"]] == ["proxmox"] * 2, rank
    assert [e["targets"][0]["plugin"] for e in other["entries"]] == ["kubevirt"], rank
    assert not same["not_comparable"] and "where" in other["not_comparable"], rank
    # who is before another is apart from it; who is not, is tied with it
    one, two = sorted(same["entries"], key=lambda e: (e["rank"], e["rank_worst"]))
    assert sorted(e["targets"][0]["name"] for e in (one, two)) == ["again", "pve"], rank
    apart = bool(one["interval"] and two["interval"] and one["interval"][1] < two["interval"][0])
    assert bool(one["tied"]) != apart and (one["rank_worst"] == 1) == apart, rank
END
grep -q "simulated" "$out/table"

# between two kinds nothing migrates: the disk is converted instead, and that is what is counted
qemu-img create -q -f qcow2 "$out/disk.qcow2" 16M
run run --profile dev --target pve --target k8s --benchmark migration --set run.shape=standard --set run.samples=2 \
	--set migration.guest_image="$out/disk.qcow2" --format json --output "$out/c.json"
grep -q "no live migration between" "$out/err"
python3 - "$out/c.json" <<'END'
import json, sys
step, = json.load(open(sys.argv[1]))["steps"]
assert step["counts"]["succeeded"] == 2 and not step["counts"]["failed"], step["counts"]
assert {m["name"] for m in step["metrics"]} == {f"migration.conversion.{f}" for f in ("raw", "vmdk", "vhdx")}, step
END
