# SPDX-License-Identifier: MIT
# Sourced: judges results of runs, for the self-made peer's and the real API server's tests.
judge() { # FILE, JavaScript over `result`, `step` and `metric(NAME)`
	node -e '
	const result = JSON.parse(require("fs").readFileSync(process.argv[1]));
	const assert = require("assert");
	const [step] = result.steps;
	const metric = (name) => step.metrics.find((one) => one.name === name);
	assert.strictEqual(result.run.state, "complete");
	assert.strictEqual(result.targets[0].plugin, "kubevirt");
	assert.strictEqual(step.counts.failed + step.counts.timed_out, 0, JSON.stringify(step.why));
	'"$2" "$1"
}

judge_lifecycle() {
	judge "$1" '
	assert.ok(result.targets[0].capabilities.network.why);
	for (const name of ["create.api", "start.running", "start.ready", "snapshot.done", "restore.ready", "stop.gone",
		"delete.api"]) {
		const one = metric(`lifecycle.${name}`);
		assert.ok(one && one.n >= 3, `${name}: ${JSON.stringify(one)}`);
	}'
}

judge_density() { # FILE COUNT
	judge "$1" "
	for (const name of ['running', 'ready', 'delete']) {
		const one = metric('density.' + name);
		assert.ok(one && one.n === $2, name + JSON.stringify(one));
	}
	assert.strictEqual(metric('density.api').n, 2 * $2); // each create, each start
	assert.strictEqual(!!metric('density.api.p99'), $2 >= 150); // of fewer there is none
	assert.strictEqual(step.counts.succeeded, $2);"
}

judge_migration() {
	judge "$1" '
	const one = metric("migration.duration");
	assert.ok(one && one.n >= 3, JSON.stringify(one));'
}
