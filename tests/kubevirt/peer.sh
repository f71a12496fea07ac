# SPDX-License-Identifier: MIT
# Sourced with `source`, `peer` and `role` set: starts the self-made peer for as long as this shell lives, and
# leaves its ports in $port and $control, a directory in $work with a kubeconfig in $work/config. With
# `cache` set as well it is the real API server, which is built there if it is not there yet.
"$source/prepare.sh" "$peer" || exit $?
if [ -n "${cache:-}" ]; then
	"$source/build.sh" "$cache" || exit $?
	command -v etcd >/dev/null || { echo "skipped: etcd is not installed (./dev test --all installs it)"; exit 77; }
fi
secret=kubevirt-bench-token-0123456789

work=$(mktemp -d)
mkfifo "$work/alive"
if [ -n "${cache:-}" ]; then
	server=("$source/real.js" --apiserver "$cache/kube-apiserver" --directory .)
else
	server=("$source/server.js" --cert cert.pem --key cert-key.pem --client-ca client-ca.pem)
fi
(cd "$peer" && exec node "${server[@]}" --schema schema.json --role "$role") <"$work/alive" >"$work/ports" \
	2>"$work/peer.log" &
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

# tell PATH JSON; ask PATH
tell() { node -e 'fetch(process.argv[1], { method: "POST", body: process.argv[2] }).then((r) => r.text())' \
	"http://127.0.0.1:$control$1" "$2"; }
count() { node -e 'fetch(process.argv[1]).then((r) => r.json()).then((list) => console.log(list.length))' \
	"http://127.0.0.1:$control/objects?$1"; }

# kubeconfig TOKEN-LINE: a user "bench" with that line
kubeconfig() {
	cat >"$work/config" <<EOF
apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: peer
  cluster:
    server: https://127.0.0.1:$port
    certificate-authority-data: $(base64 -w0 "$peer/cert.pem")
contexts:
- name: lab
  context: { cluster: peer, user: bench, namespace: bench }
users:
- name: bench
  user:
    $1
EOF
	chmod 600 "$work/config"
}
kubeconfig "token: $secret"
