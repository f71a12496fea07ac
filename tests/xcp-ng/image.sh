#!/bin/bash
# SPDX-License-Identifier: MIT
# A run on a pool that boots no files of this host, where nothing is said of how VMs boot: the appliance is
# made a disk with the run's own key, uploaded, VMs get clones of it, and a benchmark runs in them by SSH. The
# peer boots nothing: an SSH server of this machine stands for theirs, and takes the key that is on the disk.
#
#   image.sh NOVACORE PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 source=$2 peer=$3
secret=squirrel-of-the-test

# shellcheck source=tests/peers/common/peer.sh
. "$(dirname "$0")/../peers/common/peer.sh"
# shellcheck source=tests/peers/common/appliance.sh
. "$(dirname "$0")/../peers/common/appliance.sh"

mkdir -m 700 "$work/sshd"
mkfifo "$work/sshd/alive"
"$source/../common/sshd.sh" "$work/sshd" <"$work/sshd/alive" >"$work/sshd/port" &
exec 8>"$work/sshd/alive"
trap 'status=$?; exec 8>&-; set +e; (exit $status); finish' EXIT
for _ in $(seq 300); do
	[ -s "$work/sshd/port" ] && break
	kill -0 $! 2>/dev/null || { wait $! || exit $?; }
	sleep 0.1
done
tell settings '{"address":"127.0.0.1","toolsMs":20}' >"$work/ok"
cat >"$work/lab.conf" <<EOC
target = { lab = { plugin = "xcp-ng"; uri = "https://127.0.0.1:$port"; password = "file:$work/token";
  ca_file = "$peer/cert.pem"; tools = true; ssh_user = "$(id -un)"; ssh_port = $(cat "$work/sshd/port"); }; };
store = { path = "$work/store.db"; };
EOC
limit=(timeout -k 5 120)
run() {
	"${limit[@]}" "$novacore" run --profile dev --target lab --config "$work/lab.conf" --verbose \
		--log-file "$work/log" "$@" 2>>"$work/err" 8>&- 9>&-
}

run --dry-run --benchmark cpu >"$work/plan"
grep -q 'VMs of lab boot the appliance from a disk that is uploaded, because xcp-ng boots no files of this host' "$work/plan"

# the key of the run, as soon as there is one: what a VM has from its disk
(
	for _ in $(seq 600); do
		for key in "$NOVACORE_HOME"/state/runs/*/ssh_key.pub; do
			[ -s "$key" ] || continue
			cp "$key" "$work/sshd/more.pub"
			stat -c %a "${key%.pub}" >"$work/mode"
			while [ -s "$key" ]; do
				tell holding "{\"text\":\"$(cut -d' ' -f2 "$key" 2>/dev/null)\"}" >>"$work/holding" || true
				sleep 0.5
			done
			exit 0
		done
		sleep 0.1
	done
) 8>&- 9>&- &
watcher=$!
run --benchmark cpu --set cpu.duration=1s --set run.samples=1 --set run.warmup=0 --format json --output "$work/r.json"
wait $watcher
[ "$(cat "$work/mode")" = 600 ]
# on the image, and on the clone that the VM had
grep -q 'novacore-[0-9a-f]*-[0-9a-z]*-0' "$work/holding"
grep -q '"novacore-[^"]*","novacore-[^"]*"' "$work/holding"
python3 - "$work/r.json" <<'EOC'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["run"]["state"] == "complete", result["run"]
for step in result["steps"]:
    counts = step["counts"]
    assert counts["succeeded"] and not counts["failed"] + counts["timed_out"], (counts, step["why"])
    assert any(m["n"] and m["value"] for m in step["metrics"]), step["metrics"]
assert "exec" in result["targets"][0]["capabilities"] and result["targets"][0]["capabilities"]["exec"]["ok"]
EOC

nothing_left() {
	[ "$(tell disks)" = '[]' ] || { echo "left at the peer: $(tell disks)"; exit 1; }
	! ls -d "$NOVACORE_HOME"/state/runs/* 2>/dev/null || { echo "left on this host"; exit 1; }
}
nothing_left

# an image of the user's own, and a disk that does not get there: the step fails with the reason, nothing is left
truncate -s 4M "$work/own.raw"
tell fault '{"match":"PUT /import_raw_vdi","status":507,"reason":"no space of the test"}' >"$work/ok"
status=0
run --benchmark lifecycle --set run.samples=1 --set "guest.image=$work/own.raw" >"$work/out" || status=$?
[ "$status" != 0 ] || { echo "no failure where the upload failed"; exit 1; }
grep -q 'the disk could not be uploaded to lab.*no space of the test' "$work/err"
nothing_left

# Ctrl-C in the middle of the upload: nothing is left, and what was interrupted is finished later
tell fault '{"match":"PUT /import_raw_vdi","delay_ms":60000}' >"$work/ok"
limit=(exec) # it is $! itself that is to be told
run --benchmark lifecycle --set run.samples=1 --set "guest.image=$work/own.raw" >"$work/out" &
for _ in $(seq 600); do
	[ "$(tell disks)" = '[]' ] || break
	sleep 0.1
done
kill -INT $!
status=0
wait $! || status=$?
[ "$status" = 130 ] || { echo "exit $status instead of 130 after Ctrl-C"; exit 1; }
nothing_left
id=$(grep -o 'resume [0-9a-f-]*' "$work/err" | tail -1 | cut -d' ' -f2)
(exec "$novacore" run --resume "$id" --config "$work/lab.conf" --format json --output "$work/resumed.json" 2>>"$work/err" 8>&- 9>&-)
grep -q '"state": *"complete"' "$work/resumed.json"
nothing_left

# killed in the middle of its steps: the next one deletes the image
tell settings '{"toolsMs":60000}' >"$work/ok"
run --benchmark lifecycle --set run.samples=1 --set "guest.image=$work/own.raw" >"$work/out" &
for _ in $(seq 600); do
	[ "$(tell vms)" = '[]' ] || break
	sleep 0.1
done
kill -9 $!
wait $! 2>/dev/null || true
[ "$(tell disks)" != '[]' ] || { echo "no disk at the peer after the kill"; exit 1; }
mkdir -p "$NOVACORE_HOME/config"
cp "$work/lab.conf" "$NOVACORE_HOME/config/novacore.conf"
"$novacore" clean >"$work/out" 2>>"$work/err"
nothing_left

if grep -rlE "$secret|PRIVATE KEY" "$work" --exclude=token --exclude=alive --exclude-dir=sshd; then
	echo "a secret is in the files named above"
	exit 1
fi
