# SPDX-License-Identifier: MIT
# Sourced with `source` (of tests/peers), `peer` (its prepared directory) and `cache` set, which is the real
# API server's if it is not empty: all of tests/peers/common/peer.sh, and a kubeconfig in $work/config.
secret=kubevirt-bench-token-0123456789 argument=$cache
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"
rm "$work/token" # only the kubeconfig has it here

count() { tell "objects?$1" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'; }

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
