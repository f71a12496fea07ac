# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): starts the peer, and configures the target
# `lab` in $work/lab.conf.
made="self-made: tests/peers/proxmox, which holds calls against Proxmox's own API description"
secret=11111111-2222-3333-4444-555555555555
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"
secrets=("$secret")
tell settings '{"nodes":2}' >/dev/null
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "proxmox"; uri = "https://127.0.0.1:$port";
  node = "pve1"; token_id = "bench@pve!novacore"; token = "file:$work/token"; ca_file = "$peer/cert.pem";
  template = "debian12"; storage = "local-lvm"; agent = true;
  poll_first = "20ms"; poll_longest = "50ms"; poll_ready = "20ms"; }; };
EOF
check+=(--image local:import/debian12.qcow2)
no_session "an API token opens no session"
harm() { tell fault "$1" >/dev/null; } # what goes wrong from now on
heal() { tell clear "{}" >/dev/null; }
lessen() { # the options of an account that may less: $few
	hide 99999999-8888-7777-6666-555555555555
	few=(--set 'token_id=watch@pve!reader' --set "token=file:$work/hidden")
}
