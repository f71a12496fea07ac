#!/bin/bash
# SPDX-License-Identifier: MIT
# `novacore plugin check` of the Hyper-V driver at its peer: the contract of every op, deadlines,
# cancellation, many at once, odd names.
#
#   check.sh NOVACORE PLUGIN PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
novacore=$1 plugin=$2 source=$3 peer=$4
secret='Correct-Horse-7!'
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"

export HOME=$work
timeout -k 5 550 "$novacore" plugin check "$plugin" --set "uri=https://127.0.0.1:$port" \
	--set 'user=LAB\bench' --set "password=file:$work/token" --set "ca_file=$peer/cert.pem" \
	--set 'template=C:\templates\debian12.vhdx' --set poll_first=20ms --set poll_longest=50ms \
	--set poll_ready=50ms --image 'C:\templates\debian12.vhdx' 9>&- >"$work/out" 2>"$work/err" ||
	{ grep -v ' passed ' "$work/out"; exit 1; }
# only what the driver says that it cannot do may be left out
left_out=$(grep ' not tried ' "$work/out" | grep -vE 'the target (lacks the capability|cannot) ' || true)
[ -z "$left_out" ] || { echo "$left_out"; exit 1; }
[ "$(grep -c ' passed ' "$work/out")" -ge 50 ] || { cat "$work/out"; exit 1; }
