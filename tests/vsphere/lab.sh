# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): starts the peer, and configures the target
# `lab` in $work/lab.conf.
made="vcsim of govmomi, as Debian has it, behind a front of ours (tests/peers/vsphere)"
secret="Zw4n-passw0rd<&>\"of'lab"
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"
secrets=("$secret" "Gu3st-pass<w&rd>'s")
printf '%s\n' "${secrets[1]}" >"$work/guest-token"
chmod 600 "$work/guest-token"
tell settings '{"toolsMs":20}' >/dev/null
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "vsphere"; uri = "https://127.0.0.1:$port";
  user = "bench@vsphere.local"; password = "file:$work/token"; ca_file = "$peer/cert.pem";
  cluster = "DC0_C0"; datastore = "LocalDS_0"; template = "debian12"; tools = true;
  guest_user = "bench"; guest_password = "file:$work/guest-token";
  poll_first = "20ms"; poll_longest = "50ms"; }; };
EOF
check+=(--image debian12 --expire-session "$(told expire "{}")")
harm() { tell fault "$1" >/dev/null; } # what goes wrong from now on
heal() { tell clear "{}" >/dev/null; }
lessen() { # the options of an account that may less: $few
	few=()
	tell settings '{"denied":["VirtualMachine.Interact.PowerOn","VirtualMachine.State.RemoveSnapshot"]}' >/dev/null
}
