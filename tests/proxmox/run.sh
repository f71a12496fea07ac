#!/bin/bash
# SPDX-License-Identifier: MIT
# Whole runs of novacore on the Proxmox VE driver and its peer: configuration, plan, worker, store, result;
# a hundred VMs at once; a migration. The peer is self-made; what is proved is that the parts fit, not how
# fast anything is.
#
#   run.sh NOVACORE PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 source=$2 peer=$3
secret=11111111-2222-3333-4444-555555555555

# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"

common="plugin = \"proxmox\"; uri = \"https://127.0.0.1:$port\"; token_id = \"bench@pve!novacore\";
  token = \"file:$work/token\"; ca_file = \"$peer/cert.pem\"; template = \"debian12\"; agent = true;
  poll_first = \"20ms\"; poll_longest = \"50ms\";"
cat >"$work/lab.conf" <<EOF
target = { lab = { $common }; one = { node = "pve1"; $common }; two = { node = "pve2"; $common }; };
vm = { standard = { boot = "template"; }; };
run = { shape = "standard"; samples = 3; };
store = { path = "$work/store.db"; };
EOF
export HOME=$work
run() {
	timeout -k 5 120 "$novacore" run --profile dev --config "$work/lab.conf" --verbose \
		--log-file "$work/log" "$@" 2>>"$work/err" 9>&-
}

run --target lab --benchmark lifecycle --set lifecycle.concurrency=3 --format json --output "$work/r.json"
node -e '
	const fs = require("fs"), assert = require("assert");
	const result = JSON.parse(fs.readFileSync(process.argv[1]));
	assert.strictEqual(result.run.state, "complete");
	assert.strictEqual(result.targets[0].plugin, "proxmox");
	assert.ok(result.targets[0].capabilities.migrate.why);
	const [step] = result.steps;
	assert.strictEqual(step.counts.failed + step.counts.timed_out, 0);
	for (const name of ["create.api", "start.running", "start.ready", "snapshot.done",
		"restore.ready", "stop.gone", "delete.api"]) {
		const metric = step.metrics.find((one) => one.name === `lifecycle.${name}`);
		assert.ok(metric && metric.n >= 3, `${name}: ${JSON.stringify(metric)}`);
	}
' "$work/r.json"

# a hundred at once
run --target lab --benchmark density --set density.count=100 --format json --output "$work/d.json"
node -e '
	const fs = require("fs"), assert = require("assert");
	const [step] = JSON.parse(fs.readFileSync(process.argv[1])).steps;
	assert.strictEqual(step.counts.failed + step.counts.timed_out, 0, JSON.stringify(step.counts));
	for (const name of ["density.running", "density.ready", "density.delete"]) {
		assert.strictEqual(step.metrics.find((one) => one.name === name)?.n, 100, name);
	}
' "$work/d.json"

# there and back between two nodes
tell settings '{"nodes":2}' >"$work/ok"
run --target one --target two --benchmark migration --set migration.load=0 --set migration.memory=256MiB \
	--set run.samples=2 --format json --output "$work/m.json"
tell settings '{"nodes":1}' >"$work/ok"
node -e '
	const fs = require("fs"), assert = require("assert");
	const [step] = JSON.parse(fs.readFileSync(process.argv[1])).steps;
	assert.ok(step.counts.succeeded && !(step.counts.failed + step.counts.timed_out), JSON.stringify([step.counts, step.why]));
	assert.ok(step.metrics.find((one) => one.name === "migration.downtime.reported").n >= 2);
' "$work/m.json"

left=$(node -e 'fetch(process.argv[1]).then((r) => r.json()).then((vms) => console.log(vms.length))' \
	"http://127.0.0.1:$control/vms")
[ "$left" = 1 ] || { echo "$left VMs at the peer instead of the template alone"; exit 1; }

# a wrong secret: the target cannot be used, and the reason is there without the secret
echo wrong-secret-of-the-test >"$work/token"
status=0
run --target lab --benchmark lifecycle >"$work/out" || status=$?
[ "$status" = 3 ] || { echo "exit $status instead of 3 with a wrong token"; cat "$work/err"; exit 1; }
grep -q 'invalid token value' "$work/err" "$work/out"

if grep -rlE "$secret|wrong-secret-of-the-test" "$work" --exclude=token --exclude=alive; then
	echo "a secret is in the files named above"
	exit 1
fi
