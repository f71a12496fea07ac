# SPDX-License-Identifier: MIT
# test_privileges.sh NOVACORE BUILD SOURCE DRIVER: a target is tried with all rights and with few, with a wrong
# secret, one that others can read and where nobody is; at the driver's peer.
set -euo pipefail
novacore=$1 build=$2 root=$3 driver=$4
# shellcheck source=tests/conformance/lab.sh
. "$root/tests/conformance/lab.sh"
conf=$work/lab.conf code=0
try() { # CODE TARGET…
	local wanted=$1 one
	shift
	code=0
	timeout -k 5 90 "$novacore" target test "$@" --config "$conf" >"$work/out" 2>"$work/err" 9>&- || code=$?
	[ $code = "$wanted" ] || { cat "$work/out" "$work/err"; echo "exit code $code, not $wanted: $*"; exit 1; }
	for one in "${secrets[@]}" plain-secret-of-the-test; do
		! grep -qF -- "$one" "$work/out" "$work/err" || { echo "a secret is shown"; exit 1; }
	done
}
says() { grep -qF -- "$1" "$work/out" "$work/err" || { cat "$work/out" "$work/err"; echo "nothing says $1"; exit 1; }; }
holds() { python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$work/out" "$1" || { cat "$work/out"; echo "not so: $1"; exit 1; }; }
secret_name=$(sed -n 's/.*\(token\|password\) = "file:.*/\1/p' "$conf" | head -n 1)

try 0 lab
says "tls            verified"
says "It can: create"
try 0 lab --format json
holds "r['driver']['name'] == '$driver' and r['missing_privileges'] == {} and r['facts']['version']"

hide wrong-secret-of-the-test
try 3 lab --set "$secret_name=file:$work/hidden"
try 3 lab --set uri=https://127.0.0.1:1
says "127.0.0.1:1"
chmod 644 "$work/hidden"
try 3 lab --set "$secret_name=file:$work/hidden"
says "chmod 600"
try 2 lab --set "$secret_name=plain-secret-of-the-test"
"$novacore" target add other --plugin "$driver" --set "$secret_name=plain-secret-of-the-test" --config "$conf" \
	>"$work/out" 2>"$work/err" && { echo "a plain secret was taken"; exit 1; }
! grep -qrF plain-secret-of-the-test "$work" || { echo "the secret was shown or written"; exit 1; }

lessen
try 3 lab "${few[@]}"
says "Privileges that are missing:"
says "lacks "
says "novacore-hypervisor-$driver(7)"
try 3 lab "${few[@]}" --format json
holds "r['exit_code'] == 3 and r['missing_privileges'] and r['facts']['version']"
holds "all(r['capabilities'][name] == why for why, names in r['missing_privileges'].items() for name in names)"
