#!/bin/bash
# SPDX-License-Identifier: MIT
# `novacore plugin check` of the KubeVirt driver at its peer: the contract of every op,
# deadlines, cancellation, many at once, odd names.
#
#   check.sh NOVACORE PLUGIN PEER-SOURCE PEER-DIRECTORY [CACHE]     CACHE: at the real API server
set -euo pipefail
novacore=$1 plugin=$2 source=$3 peer=$4 cache=${5:-}
# shellcheck source=tests/kubevirt/peer.sh
. "$(dirname "$0")/peer.sh"

export HOME=$work NOVACORE_HOME=$work/home
tell settings '{"agentMs":30}' >/dev/null
timeout -k 5 550 "$novacore" plugin check "$plugin" --set "kubeconfig=$work/config" \
	--set template=pvc:golden --set container_disk=registry/debian:12 --set agent=true \
	--set poll_first=20ms --set poll_longest=50ms --image registry/debian:12 \
	9>&- >"$work/out" 2>"$work/err" || { grep -v ' passed ' "$work/out"; exit 1; }
# only what the driver says that it cannot do may be left out
left_out=$(grep ' not tried ' "$work/out" | grep -vE 'the target (lacks the capability|cannot) ' || true)
[ -z "$left_out" ] || { echo "$left_out"; exit 1; }
[ "$(grep -c ' passed ' "$work/out")" -ge 50 ] || { cat "$work/out"; exit 1; }
