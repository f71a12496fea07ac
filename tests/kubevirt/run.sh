#!/bin/bash
# SPDX-License-Identifier: MIT
# Whole runs of novacore on the KubeVirt driver and its peer: lifecycle, a density of 100, a
# migration between two targets, a credential program, a wrong token. What is proved is that the parts
# fit, not how fast anything is.
#
#   run.sh NOVACORE PEER-SOURCE PEER-DIRECTORY [CACHE]     CACHE: at the real API server
set -euo pipefail
novacore=$1 source=$2 peer=$3 cache=${4:-}

# shellcheck source=tests/kubevirt/peer.sh
. "$(dirname "$0")/peer.sh"
# shellcheck source=tests/kubevirt/result.sh
. "$(dirname "$0")/result.sh"

tell settings '{"agentMs":30}' >/dev/null
export HOME=$work NOVACORE_HOME=$work/home
target() { echo "$1 = { plugin = \"kubevirt\"; kubeconfig = \"$work/config\"; template = \"pvc:golden\"; agent = true;
	exec_credentials = true; grace = \"5s\"; poll_first = \"20ms\"; poll_longest = \"50ms\"; };"; }
cat >"$work/lab.conf" <<EOF
target = { $(target lab) $(target other) };
vm = { standard = { boot = "template"; }; };
run = { shape = "standard"; samples = 3; };
store = { path = "$work/store.db"; };
EOF
run() {
	timeout -k 5 120 "$novacore" run --profile dev --config "$work/lab.conf" --verbose --log-file "$work/log" \
		"$@" 2>>"$work/err" 9>&-
}

run --target lab --benchmark lifecycle --set lifecycle.concurrency=3 --format json --output "$work/r.json"
judge_lifecycle "$work/r.json"

many=100
[ -z "$cache" ] || many=160 # enough for a 99th percentile
run --target lab --benchmark density --set density.count=$many --format json --output "$work/d.json" &
density=$!
# meanwhile: another kubeconfig of the same cluster is the same target
for _ in $(seq 300); do
	[ "$(count virtualmachines)" = 0 ] || break
	sleep 0.1
done
cp "$work/config" "$work/config2"
status=0
run --target lab --set "target.lab.kubeconfig=$work/config2" --benchmark lifecycle >"$work/busy" 2>&1 || status=$?
wait $density
judge_density "$work/d.json" $many
[ "$status" != 0 ] && grep -q 'in use by another run' "$work/busy" "$work/err" ||
	{ echo "two runs on one cluster: exit $status"; cat "$work/busy" "$work/err"; exit 1; }

run --target lab --target other --benchmark migration --format json --output "$work/m.json"
judge_migration "$work/m.json"

# the API server dies and comes back: the next run knows nothing of that
if [ -n "$cache" ]; then
	tell restart '{}' >/dev/null
	run --target lab --benchmark lifecycle --format json --output "$work/r.json"
	judge_lifecycle "$work/r.json"
fi

for plural in virtualmachines virtualmachineinstances virtualmachinesnapshots virtualmachinerestores \
	virtualmachineinstancemigrations; do
	[ "$(count $plural)" = 0 ] || { echo "$plural are left at the peer"; exit 1; }
done

# a program that prints a token, as kubeconfigs of cloud providers have it; when the token is not known any
# more, the program is asked for the next one
cat >"$work/login" <<EOF
#!/bin/sh
[ "\$LAB" = yes ] && echo "\$KUBERNETES_EXEC_INFO" | grep -q '"interactive":false' || exit 1
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"$secret"}}'
EOF
chmod 755 "$work/login"
kubeconfig "exec: { apiVersion: client.authentication.k8s.io/v1, command: ./login, interactiveMode: Never, env: [{ name: LAB, value: 'yes' }] }"
run --target lab --benchmark lifecycle --format json --output "$work/e.json"
judge_lifecycle "$work/e.json"
status=0
run --target lab --benchmark lifecycle --set target.lab.exec_credentials=false >"$work/out" || status=$?
[ "$status" = 2 ] || { echo "exit $status instead of 2 where no program may be run"; exit 1; }
grep -q exec_credentials "$work/err" "$work/out"

# a wrong token: the target cannot be used, and the reason is there without the token
kubeconfig "token: wrong-secret-of-the-test"
status=0
run --target lab --benchmark lifecycle >"$work/out" || status=$?
[ "$status" = 3 ] || { echo "exit $status instead of 3 with a wrong token"; exit 1; }
grep -q '401 Unauthorized' "$work/err" "$work/out"

if grep -rlE "$secret|wrong-secret-of-the-test" "$work" --exclude=config --exclude=config2 --exclude=login --exclude=alive; then
	echo "a secret is in the files named above"
	exit 1
fi
