#!/bin/bash
# SPDX-License-Identifier: MIT
# Whole runs of novacore on the XCP-ng driver and its peer: configuration, plan, worker, store, result; a
# hundred VMs at once; a migration between the pool's hosts; a wrong password. The peer is self-made; what is
# proved is that the parts fit, not how fast anything is.
#
#   run.sh NOVACORE PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 source=$2 peer=$3
secret=squirrel-of-the-test

# shellcheck source=tests/peers/common/peer.sh
. "$(dirname "$0")/../peers/common/peer.sh"

common="plugin = \"xcp-ng\"; password = \"file:$work/token\"; ca_file = \"$peer/cert.pem\";
  template = \"debian12\"; tools = true;"
cat >"$work/lab.conf" <<EOF
target = {
  lab = { uri = "https://127.0.0.1:$port"; $common };
  one = { uri = "https://127.0.0.1:$port"; host = "a-host1"; $common };
  two = { uri = "https://127.0.0.2:$port"; host = "a-host2"; $common };
};
vm = { standard = { boot = "template"; }; };
run = { shape = "standard"; samples = 3; };
store = { path = "$work/store.db"; };
EOF
export HOME=$work
run() {
	timeout -k 5 120 "$novacore" run --profile dev --config "$work/lab.conf" --verbose --log-file "$work/log" \
		"$@" 2>>"$work/err" 9>&-
}

nothing_left() {
	node -e '
		const at = process.argv[1];
		Promise.all(["vms", "disks"].map((what) => fetch(`${at}/${what}`).then((r) => r.json()))).then(([vms, disks]) => {
			if (vms.length || disks.length) {
				console.log(`${process.argv[2]}: left at the peer: ${JSON.stringify([...vms, ...disks].map((one) => one.name_label))}`);
				process.exit(1);
			}
		});' "http://127.0.0.1:$control" "$1"
}

run --target lab --benchmark lifecycle --set lifecycle.concurrency=3 --format json --output "$work/r.json"
nothing_left lifecycle
node -e '
	const fs = require("fs"), assert = require("assert");
	const result = JSON.parse(fs.readFileSync(process.argv[1]));
	assert.strictEqual(result.run.state, "complete");
	assert.strictEqual(result.targets[0].plugin, "xcp-ng");
	assert.ok(result.targets[0].capabilities.exec.why);
	const [step] = result.steps;
	assert.strictEqual(step.counts.failed + step.counts.timed_out, 0);
	for (const name of ["create.api", "start.running", "start.ready", "snapshot.done",
		"restore.ready", "stop.gone", "delete.api"]) {
		const metric = step.metrics.find((one) => one.name === `lifecycle.${name}`);
		assert.ok(metric && metric.n >= 3, `${name}: ${JSON.stringify(metric)}`);
	}
' "$work/r.json"

run --target lab --benchmark density --set density.count=100 --format json --output "$work/d.json"
nothing_left density
node -e '
	const fs = require("fs"), assert = require("assert");
	const [step] = JSON.parse(fs.readFileSync(process.argv[1])).steps;
	assert.strictEqual(step.counts.failed + step.counts.timed_out, 0, JSON.stringify(step.counts));
	const ready = step.metrics.find((one) => one.name === "density.ready");
	assert.strictEqual(ready && ready.n, 100, JSON.stringify(step.metrics.map((one) => [one.name, one.n])));
' "$work/d.json"

# there and back between the pool's hosts
run --target one --target two --benchmark migration --set migration.load=0 --set migration.memory=256MiB \
	--set run.samples=2 --format json --output "$work/m.json"
nothing_left migration
node -e '
	const fs = require("fs"), assert = require("assert");
	const result = JSON.parse(fs.readFileSync(process.argv[1]));
	const [step] = result.steps;
	assert.ok(step.counts.succeeded && !(step.counts.failed + step.counts.timed_out), JSON.stringify([step.counts, step.why, result.skipped]));
	assert.ok(step.metrics.find((one) => one.name === "migration.duration").n >= 2);
' "$work/m.json"

# a wrong password: the target cannot be used, and the reason is there without the secret
echo wrong-secret-of-the-test >"$work/token"
status=0
run --target lab --benchmark lifecycle >"$work/out" || status=$?
[ "$status" = 3 ] || { echo "exit $status instead of 3 with a wrong password"; cat "$work/err"; exit 1; }
grep -q 'SESSION_AUTHENTICATION_FAILED' "$work/err" "$work/out"

if grep -rlE "$secret|wrong-secret-of-the-test" "$work" --exclude=token --exclude=alive; then
	echo "a secret is in the files named above"
	exit 1
fi
