# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): starts the peer, and configures the target
# `lab` in $work/lab.conf. The relay of conformance wants the target by its parameters, not by a kubeconfig.
made="self-made: tests/peers/kubevirt, which validates against the CRDs of KubeVirt's own types"
cache= role=$root/docs/roles/kubevirt.yaml
# shellcheck source=tests/kubevirt/peer.sh
. "$root/tests/kubevirt/peer.sh"
secrets=("$secret")
tell settings '{"agentMs":30}' >/dev/null
printf '%s\n' "$secret" >"$work/token"
chmod 600 "$work/token"
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "kubevirt"; uri = "https://127.0.0.1:$port";
  token = "file:$work/token"; ca_file = "$peer/cert.pem"; namespace = "bench";
  template = "pvc:golden"; container_disk = "registry/debian:12"; agent = true;
  poll_first = "20ms"; poll_longest = "50ms"; }; };
EOF
check+=(--image registry/debian:12)
no_session "a token that is given opens no session; those of a kubeconfig that run out are fetched anew (tests/kubevirt)"
harm() { tell fault "$1" >/dev/null; } # what goes wrong from now on
heal() { tell clear "{}" >/dev/null; }
lessen() { # the options of an account that may less: $few
	hide kubevirt-watch-token-0123456789
	few=(--set "token=file:$work/hidden")
}
