#!/bin/bash
# SPDX-License-Identifier: MIT
# Whole runs of novacore on the vSphere driver and vcsim: configuration, plan, worker, store, result; a
# VM's life, and a hundred VMs at once. What is proved is that the parts fit, not how fast anything is.
#
#   run.sh NOVACORE PLUGIN PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 source=$3 peer=$4
secret="Zw4n-passw0rd<&>\"of'lab"
guest_secret="Gu3st-pass<w&rd>'s"

# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"

printf '%s\n' "$guest_secret" >"$work/guest-token"
chmod 600 "$work/guest-token"
tell settings '{"taskMs":20,"toolsMs":20}' >"$work/ok"
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "vsphere"; uri = "https://127.0.0.1:$port";
  user = "bench@vsphere.local"; password = "file:$work/token"; ca_file = "$peer/cert.pem";
  cluster = "DC0_C0"; datastore = "LocalDS_0"; folder = "lab"; template = "debian12"; tools = true;
  guest_user = "bench"; guest_password = "file:$work/guest-token"; }; };
vm = { standard = { boot = "template"; vcpus = 1; memory = "64MiB"; }; };
run = { shape = "standard"; samples = 3; };
store = { path = "$work/store.db"; };
EOF
export HOME=$work
run() {
	timeout -k 5 100 "$novacore" run --profile dev --target lab --config "$work/lab.conf" \
		--verbose --log-file "$work/log" "$@" 2>>"$work/err" 9>&-
}
# judge RESULT N METRIC…: the step is whole, and has so many of each
judge() {
	python3 - "$@" <<'EOF'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["run"]["state"] == "complete", result["run"]
target, = result["targets"]
assert target["plugin"] == "vsphere" and target["capabilities"]["direct"]["why"]
step, = result["steps"]
counts = step["counts"]
assert counts["succeeded"] and not counts["failed"] + counts["timed_out"], counts
for name in sys.argv[3:]:
    metric = [m for m in step["metrics"] if m["name"] == name]
    assert metric and metric[0]["n"] >= int(sys.argv[2]), (name, [m["name"] for m in step["metrics"]])
EOF
}

run --benchmark lifecycle --set lifecycle.concurrency=3 --format json --output "$work/r.json"
judge "$work/r.json" 3 lifecycle.create.api lifecycle.start.running lifecycle.start.ready \
	lifecycle.snapshot.done lifecycle.restore.ready lifecycle.stop.gone lifecycle.delete.api

tell settings '{"toolsMs":20}' >"$work/ok"
run --benchmark density --set density.count=100 --format json --output "$work/d.json"
judge "$work/d.json" 100 density.running density.ready density.delete

# nothing is said of how VMs boot: a disk of this host is uploaded, and each VM has a copy of it
truncate -s 4M "$work/own.raw"
sed -i 's/vm = { standard = { boot = "template";/vm = { standard = {/' "$work/lab.conf"
run --benchmark lifecycle --dry-run >"$work/plan"
grep -q 'VMs of lab boot the appliance from a disk that is uploaded, because vsphere boots no files of this host; where' "$work/plan"
run --benchmark lifecycle --set "guest.image=$work/own.raw" --format json --output "$work/i.json"
judge "$work/i.json" 3 lifecycle.create.api lifecycle.start.running lifecycle.delete.api
grep -q 'lab: uploading your image as a disk (4.00 MiB)' "$work/err"
left=$(tell files)
[ "$left" = '{}' ] || { echo "left at the peer: $left"; exit 1; }

left=$(tell vms | python3 -c 'import json, sys; print(*(vm["name"] for vm in json.load(sys.stdin)))')
case $left in *novacore-*) echo "left at the peer: $left"; exit 1 ;; esac
tell calls >"$work/calls"
grep -q '"rejected":null' "$work/calls" || { cat "$work/calls"; exit 1; }

# a wrong secret: the target cannot be used, and the reason is there without the secret
echo 'wrong-secret<of>the-test' >"$work/token"
status=0
run --benchmark lifecycle >"$work/out" || status=$?
[ "$status" = 3 ] || { echo "exit $status instead of 3 with a wrong password"; cat "$work/err"; exit 1; }
grep -q 'InvalidLogin' "$work/err" "$work/out"

if grep -rlE 'Zw4n-passw0rd|Gu3st-pass|wrong-secret|vmware_soap_session=' "$work" \
	--exclude='*token' --exclude=alive; then
	echo "a secret is in the files named above"
	exit 1
fi
