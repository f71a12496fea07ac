#!/bin/bash
# SPDX-License-Identifier: MIT
# `novacore plugin check` of the vSphere driver at vcsim: the contract of every op, deadlines,
# cancellation, many at once, odd names. Tasks that take their time are test_peer.c's.
#
#   check.sh NOVACORE PLUGIN PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 plugin=$2 source=$3 peer=$4
secret="Zw4n-passw0rd<&>\"of'lab"
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"

export HOME=$work
printf '%s\n' "Gu3st-pass<w&rd>'s" >"$work/guest-token"
chmod 600 "$work/guest-token"
tell settings '{"toolsMs":20}' >/dev/null
timeout -k 5 550 "$novacore" plugin check "$plugin" --set "uri=https://127.0.0.1:$port" \
	--set user=bench@vsphere.local --set "password=file:$work/token" --set "ca_file=$peer/cert.pem" \
	--set cluster=DC0_C0 --set datastore=LocalDS_0 --set template=debian12 --set tools=true \
	--set guest_user=bench --set "guest_password=file:$work/guest-token" \
	--set poll_first=20ms --set poll_longest=50ms --image debian12 9>&- >"$work/out" 2>"$work/err" ||
	{ grep -v ' passed ' "$work/out"; exit 1; }
# only what the driver says that it cannot do may be left out
left_out=$(grep ' not tried ' "$work/out" | grep -vE 'the target (lacks the capability|cannot) ' || true)
[ -z "$left_out" ] || { echo "$left_out"; exit 1; }
[ "$(grep -c ' passed ' "$work/out")" -ge 50 ] || { cat "$work/out"; exit 1; }
tell calls >"$work/calls"
grep -q '"rejected":null' "$work/calls" || { cat "$work/calls"; exit 1; }
