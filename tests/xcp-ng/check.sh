#!/bin/bash
# SPDX-License-Identifier: MIT
# `novacore plugin check` of the XCP-ng driver at its peer: the contract of every op, deadlines,
# cancellation, many at once, odd names.
#
#   check.sh NOVACORE PLUGIN PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 plugin=$2 source=$3 peer=$4
secret=squirrel-of-the-test
# shellcheck source=tests/peers/common/peer.sh
. "$(dirname "$0")/../peers/common/peer.sh"

export HOME=$work
timeout -k 5 250 "$novacore" plugin check "$plugin" --set "uri=https://127.0.0.1:$port" \
	--set "password=file:$work/token" --set "ca_file=$peer/cert.pem" --set template=debian12 \
	--set tools=true --set poll_longest=200ms --image debian12 9>&- >"$work/out" 2>"$work/err" ||
	{ grep -v ' passed ' "$work/out"; exit 1; }
# only what the driver says that it cannot do may be left out
left_out=$(grep ' not tried ' "$work/out" | grep -vE 'the target (lacks the capability|cannot) ' || true)
[ -z "$left_out" ] || { echo "$left_out"; exit 1; }
[ "$(grep -c ' passed ' "$work/out")" -ge 50 ] || { cat "$work/out"; exit 1; }
left=$(node -e 'fetch(process.argv[1]).then((r) => r.json()).then((all) => console.log(all.length))' \
	"http://127.0.0.1:$control/vms")
[ "$left" = 0 ] || { echo "$left VMs are left at the peer"; exit 1; }
