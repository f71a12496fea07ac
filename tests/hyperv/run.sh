#!/bin/bash
# SPDX-License-Identifier: MIT
# Whole runs of novacore on the Hyper-V driver and its peer: configuration, plan, worker, store, result; a
# VM's life, and a hundred VMs at once. The peer is self-made; what is proved is that the parts fit, not how
# fast anything is.
#
#   run.sh NOVACORE PLUGIN PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 source=$3 peer=$4
secret='Correct-Horse-7!'

# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"

tell settings '{"guestMs":50}' >"$work/ok"
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "hyperv"; uri = "https://127.0.0.1:$port";
  user = "LAB\\\\bench"; password = "file:$work/token"; ca_file = "$peer/cert.pem";
  template = "C:\\\\templates\\\\debian12.vhdx"; switch = "lan"; poll_first = "20ms"; poll_longest = "50ms"; }; };
vm = { standard = { boot = "template"; vcpus = 1; memory = "64MiB"; }; };
run = { shape = "standard"; samples = 3; };
store = { path = "$work/store.db"; };
EOF
export HOME=$work
run() {
	timeout -k 5 150 "$novacore" run --profile dev --target lab --config "$work/lab.conf" \
		--verbose --log-file "$work/log" "$@" 2>>"$work/err" 9>&-
}
# judge RESULT N METRIC…: the step is whole, and has so many of each
judge() {
	python3 - "$@" <<'EOF'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["run"]["state"] == "complete", result["run"]
target, = result["targets"]
assert target["plugin"] == "hyperv" and target["capabilities"]["exec"]["why"]
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

run --benchmark density --set density.count=100 --format json --output "$work/d.json"
judge "$work/d.json" 100 density.running density.ready density.delete

[ "$(tell vms)" = '[]' ] || { echo "VMs are left at the peer: $(tell vms)"; exit 1; }
left=$(tell files | grep -c novacore- || true)
[ "$left" = 0 ] || { echo "disks are left at the peer: $(tell files)"; exit 1; }
tell calls >"$work/calls"
grep -q '"rejected": \[\]' "$work/calls" || { cat "$work/calls"; exit 1; }

# a wrong secret: the target cannot be used, and the reason is there without the secret
echo 'wrong-secret-of-the-test' >"$work/token"
status=0
run --benchmark lifecycle >"$work/out" || status=$?
[ "$status" = 3 ] || { echo "exit $status instead of 3 with a wrong password"; cat "$work/err"; exit 1; }
grep -q '401 ' "$work/err" "$work/out"

if grep -rlE 'Correct-Horse|wrong-secret-of-the-test' "$work" --exclude=token --exclude=alive; then
	echo "a secret is in the files named above"
	exit 1
fi
