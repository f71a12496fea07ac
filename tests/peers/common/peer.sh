# SPDX-License-Identifier: MIT
# Sourced with `source` (of tests/peers), `peer` (its prepared directory) and `secret` set, and maybe
# `argument` (of both scripts): starts the peer for as long as this shell lives, and leaves its ports in $port
# and $control, a directory in $work with the secret in $work/token, and `tell PATH [JSON]` for the latter.
"$source/prepare.sh" "$peer" ${argument:+"$argument"} || exit $?

work=$(mktemp -d)
mkfifo "$work/alive"
"$source/start.sh" "$peer" ${argument:+"$argument"} <"$work/alive" >"$work/ports" 2>"$work/peer.log" &
exec 9>"$work/alive"
finish() {
	status=$?
	exec 9>&-
	wait
	[ $status = 0 ] || cat "$work/err" "$work/peer.log" 2>/dev/null || true
	rm -rf "$work"
	exit $status
}
trap finish EXIT
for _ in $(seq 900); do
	[ -s "$work/ports" ] && break
	kill -0 $! 2>/dev/null || { cat "$work/peer.log"; exit 1; }
	sleep 0.1
done
read -r _ port control <"$work/ports"

printf '%s\n' "$secret" >"$work/token"
chmod 600 "$work/token"

# A shell's command that does what `tell` does.
told() {
	printf 'python3 -c "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open(\x27%s\x27, b\x27%s\x27)"' \
		"http://127.0.0.1:$control/$1" "$2"
}

tell() {
	python3 -c 'import sys, urllib.request as u
opener = u.build_opener(u.ProxyHandler({}))
print(opener.open(sys.argv[1], sys.argv[2].encode() or None).read().decode())' "http://127.0.0.1:$control/$1" "${2:-}"
}
