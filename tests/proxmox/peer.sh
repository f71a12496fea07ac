# SPDX-License-Identifier: MIT
# Sourced with `source`, `peer` and `secret` set: starts the peer for as long as this shell lives, and
# leaves its ports in $port and $control, a directory in $work with the secret in $work/token.
"$source/prepare.sh" "$peer" || exit $?

work=$(mktemp -d)
mkfifo "$work/alive"
(cd "$peer" && exec node "$source/server.js" --schema schema.json --cert cert.pem --key cert-key.pem) \
	<"$work/alive" >"$work/ports" 2>"$work/peer.log" &
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
for _ in $(seq 100); do
	[ -s "$work/ports" ] && break
	sleep 0.1
done
read -r _ port control <"$work/ports"

printf '%s\n' "$secret" >"$work/token"
chmod 600 "$work/token"
