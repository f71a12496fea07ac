#!/bin/bash
# SPDX-License-Identifier: MIT
# Fails with a driver in every way that there is, and looks for its secrets in results, reports, logs, traces,
# errors, stores, command lines and environments.
#
#   secrets.sh NOVACORE BUILD SOURCE DRIVER
set -euo pipefail
novacore=$1 build=$2 root=$3 driver=$4
# shellcheck source=tests/conformance/lab.sh
. "$root/tests/conformance/lab.sh"
here=$root/tests/conformance
hidden=$(mktemp) # what must be nowhere
trap_before=$(trap -p EXIT | sed "s/^trap -- '\(.*\)' EXIT$/\1/")
trap 'exec 8>&-; rm -f "$hidden"; '"$trap_before" EXIT
printf '%s\n' "${secrets[@]}" wrong-secret-of-the-test-1 plain-secret-of-the-test-2 >"$hidden"

mkdir "$work/out"
printf 'store = { path = "%s"; };\n' "$work/store.db" >>"$work/lab.conf"
runs=0
# try CODES COMMAND…: one of these exit codes; everything that it says is kept
try() {
	local codes=$1 code=0
	shift
	runs=$((runs + 1))
	timeout -k 5 120 "$novacore" "$@" >"$work/out/$runs.out" 2>"$work/out/$runs.err" 8>&- 9>&- || code=$?
	case ",$codes," in
	*",$code,"*) ;;
	*) cat "$work/out/$runs.out" "$work/out/$runs.err" >"$work/err"
		echo "exit code $code, not $codes: $*"; exit 1 ;;
	esac
}
# run CODES OPTION…: with a log of everything, a trace, and a result
run() {
	local codes=$1
	shift
	try "$codes" run --profile dev --target lab --config "$work/lab.conf" --benchmark lifecycle \
		--set vm.standard.boot=template --set run.shape=standard --set run.samples=2 --set run.op_timeout=3s \
		--verbose --log-file "$work/out/log" --trace "$work/out/trace" \
		--format json "$@"
}
hold() { python3 "$here/secrets.py" files "$hidden" "$work" token guest-token other alive watching config; }

# what looks for them finds them
printf 'user:%s' "${secrets[0]}" | base64 -w0 >"$work/out/planted"
! hold >"$work/err" || { echo "a planted secret is not found"; exit 1; }
rm "$work/out/planted"
PLANTED=${secrets[0]} sleep 3 8>&- 9>&- &
! (sleep 1; true) | python3 "$here/secrets.py" processes "$hidden" >"$work/err" 8>&- 9>&- || {
	echo "a secret in an environment is not found"; exit 1; }
kill $! 2>/dev/null || true

mkfifo "$work/watching"
python3 "$here/secrets.py" processes "$hidden" <"$work/watching" >"$work/seen" 9>&- &
watcher=$!
exec 8>"$work/watching"

run 0
try 0 config show --config "$work/lab.conf"
try 0 config show --config "$work/lab.conf" --format json
try 0 target list --config "$work/lab.conf"
try 0 target test lab --config "$work/lab.conf" --verbose --log-file "$work/out/log"
try 0 run --target lab --config "$work/lab.conf" --benchmark lifecycle --set vm.standard.boot=template \
	--set run.shape=standard --dry-run --format json
for format in html markdown json csv junit; do
	try 0 report last --config "$work/lab.conf" --format $format
done
hold

# the peer fails, in the middle of a run
for fault in '"status":503' '"status":401' '"status":302,"location":"https://127.0.0.1:1/"' '"garbage":"<garbage>"' \
	'"drop":"before"' '"drop":"middle"'; do
	harm "{\"match\":\".*\",\"times\":1000,$fault}"
	run 0,3,4
	try 3 target test lab --config "$work/lab.conf" --verbose
	heal
	harm "{\"match\":\".*\",\"times\":3,$fault}"
	run 0,3,4
	heal
done
hold

# we are wrong: another secret, another authority, nobody there, a secret that others could read
printf 'wrong-secret-of-the-test-1\n' >"$work/other"
chmod 600 "$work/other"
secret_name=$(sed -n 's/.*\(token\|password\) = "file:.*/\1/p' "$work/lab.conf" | head -n 1)
run 3 --set "target.lab.$secret_name=file:$work/other"
run 3 --set "target.lab.ca_file=$peer/other.pem"
run 3 --set target.lab.uri=https://127.0.0.1:1
run 2,3 --set target.lab.uri=http://127.0.0.1:1
chmod 644 "$work/other"
run 2,3 --set "target.lab.$secret_name=file:$work/other"
rm "$work/other"
run 2,3 --set "target.lab.$secret_name=file:$work/other"
run 2,3 --set "target.lab.$secret_name=env:NO_SUCH_VARIABLE"

# the worker is killed
"$novacore" run --profile dev --target lab --config "$work/lab.conf" --benchmark lifecycle --set vm.standard.boot=template \
	--set run.shape=standard --verbose --log-file "$work/out/log" --trace "$work/out/trace" \
	>"$work/out/killed.out" 2>"$work/out/killed.err" 8>&- 9>&- &
victim=$!
for _ in $(seq 100); do
	worker=$(pgrep -P $victim | head -n 1) && break
	sleep 0.05
done
kill -SEGV "$worker" 2>/dev/null || true
wait $victim || true
try 0 clean --config "$work/lab.conf"
hold

exec 8>&-
wait $watcher || { cat "$work/seen"; exit 1; }

# a plain secret where others read it is refused, and not repeated; the shell itself has it on its command line
run 2,5 --set "target.lab.$secret_name=plain-secret-of-the-test-2"
try 5 target add another --plugin "$driver" --set "$secret_name=plain-secret-of-the-test-2"
try 2 target test lab --config "$work/lab.conf" --set "$secret_name=plain-secret-of-the-test-2"
hold
[ "$runs" -gt 30 ] && [ -s "$work/out/log" ] && [ -s "$work/out/trace" ]
