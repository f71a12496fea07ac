#!/bin/bash
# SPDX-License-Identifier: MIT
# A run on Proxmox VE where nothing is said of how VMs boot: the appliance is uploaded as a disk, VMs get their
# disks from it and are ready when its agent answers, which the driver is told is there; a user's own image; a
# token that may upload nothing, so that VMs are clones of the template. The peer boots nothing: what is proved
# is that all that goes there is what it must be.
#
#   image.sh NOVACORE PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 source=$2 peer=$3
secret=11111111-2222-3333-4444-555555555555

# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"
# shellcheck source=tests/peers/common/appliance.sh
. "$source/../common/appliance.sh"

cat >"$work/lab.conf" <<EOC
target = { lab = { plugin = "proxmox"; uri = "https://127.0.0.1:$port"; token_id = "bench@pve!novacore";
  token = "file:$work/token"; ca_file = "$peer/cert.pem"; template = "debian12"; storage = "local-lvm";
  poll_first = "20ms"; poll_longest = "50ms"; }; };
store = { path = "$work/store.db"; };
EOC
run() {
	: >"$work/err"
	timeout -k 5 120 "$novacore" run --profile dev --target lab --config "$work/lab.conf" --verbose \
		--benchmark lifecycle --set run.samples=1 --log-file "$work/log" "$@" 2>>"$work/err" 9>&-
}
# judge RESULT BOOT: the step is whole, and its VMs booted so
judge() {
	python3 - "$@" <<'EOC'
import json, sys
result = json.load(open(sys.argv[1]))
step, = result["steps"]
counts = step["counts"]
assert counts["succeeded"] and not counts["failed"] + counts["timed_out"], (counts, step["why"])
assert any(m["name"] == "lifecycle.start.running" and m["n"] for m in step["metrics"])
ready = any(m["name"] == "lifecycle.start.ready" and m["n"] for m in step["metrics"])
assert ready == (sys.argv[3] == "ready"), step["metrics"]
EOC
}
nothing_left() {
	[ "$(tell files)" = '[]' ] || { echo "left at the peer: $(tell files)"; exit 1; }
	! tell vms | grep -q novacore- || { echo "left at the peer: $(tell vms)"; exit 1; }
}

run --dry-run >"$work/plan"
grep -q 'VMs of lab boot the appliance from a disk that is uploaded, because proxmox boots no files of this host; where it takes no disk, they are clones of its template debian12' "$work/plan"

run --format json --output "$work/r.json" --trace "$work/trace"
judge "$work/r.json" disk ready
grep -q 'lab: uploading the appliance as a disk' "$work/err"
grep '"image_put"' "$work/trace" | grep -q '"PROGRESS"\|progress' || { grep image_put "$work/trace" | cut -c1-2000; exit 1; }
nothing_left

truncate -s 4M "$work/own.raw"
run --set "guest.image=$work/own.raw" --set lifecycle.ready=false --format json --output "$work/o.json"
judge "$work/o.json" disk -
grep -q 'lab: uploading your image as a disk (4.00 MiB)' "$work/err"
nothing_left

# what the target cannot do is no reason to fail: its template is there
tell settings '{"version":"8.3.0"}' >"$work/ok"
run --set lifecycle.ready=false --format json --output "$work/t.json"
judge "$work/t.json" template -
grep -q 'clones of its template debian12.*takes disk images by its API from 8.4 on' "$work/err"
sed -i 's/template = "debian12";//' "$work/lab.conf"
status=0
run >"$work/out" || status=$?
[ "$status" = 3 ] || { echo "exit $status instead of 3 where nothing can be booted"; cat "$work/err"; exit 1; }
grep -q 'lab has nothing to boot VMs from.*set hypervisor.proxmox.template' "$work/err"
tell settings '{"version":"8.4.1"}' >"$work/ok"
nothing_left

if grep -rl "$secret" "$work" --exclude=token --exclude=alive; then
	echo "a secret is in the files named above"
	exit 1
fi
