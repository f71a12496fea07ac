#!/bin/bash
# SPDX-License-Identifier: MIT
# Conformance of one driver at what it is tested against, compared with what docs/conformance.md is made of
# (tests/conformance/<driver>.json). With --update that is written anew; options after -- go to
# `novacore plugin check`.
#
#   run.sh NOVACORE BUILD SOURCE DRIVER [--update] [-- OPTION…]
set -euo pipefail
novacore=$1 build=$2 root=$3 driver=$4
shift 4
update=
[ "${1:-}" != --update ] || { update=yes; shift; }
[ "${1:-}" != -- ] || shift
# shellcheck source=tests/conformance/lab.sh
. "$root/tests/conformance/lab.sh"

status=0
timeout -k 5 1700 "$novacore" plugin check --conformance lab --config "$work/lab.conf" "${check[@]}" "$@" \
	--json 9>&- >"$work/r.json" 2>"$work/err" || status=$?
[ -s "$work/r.json" ] || { cat "$work/err"; exit 1; }
for one in ${secrets[@]+"${secrets[@]}"}; do
	! grep -qF -- "$one" "$work/r.json" "$work/err" || { echo "a secret is shown"; exit 1; }
done
python3 "$root/tests/conformance/matrix.py" compare "$work/r.json" "$root/tests/conformance/$driver.json" \
	--made "$made" ${update:+--update}
[ $status = 0 ] || { echo "exit code $status"; exit 1; }
