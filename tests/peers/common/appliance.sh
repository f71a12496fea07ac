# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced after peer.sh: a home in $work, whose appliance is kept beside $peer for the next test if it can be.
export NOVACORE_HOME=$work/home HOME=$work
mkdir -p "$NOVACORE_HOME"
cache=$(dirname "$peer")/appliance
# shellcheck disable=SC2154 # novacore: of who sources this
if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then
	ln -s "$cache" "$NOVACORE_HOME/cache"
fi
"$novacore" guest build >"$work/built" 2>&1 || { cat "$work/built"; echo "skipped: no appliance here"; exit 77; }
