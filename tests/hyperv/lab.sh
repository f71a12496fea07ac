# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): starts the peer, and configures the target
# `lab` in $work/lab.conf.
made="self-made: tests/peers/hyperv, a WS-Management server; NTLM is checked by impacket"
secret='Correct-Horse-7!'
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"
secrets=("$secret")
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "hyperv"; uri = "https://127.0.0.1:$port";
  user = "LAB\\\\bench"; password = "file:$work/token"; ca_file = "$peer/cert.pem";
  template = "C:\\\\templates\\\\debian12.vhdx";
  poll_first = "20ms"; poll_longest = "50ms"; poll_ready = "50ms"; }; };
EOF
check+=(--image 'C:\templates\debian12.vhdx' --expire-session "$(told expire "{}")")
harm() { tell fault "$1" >/dev/null; } # what goes wrong from now on
heal() { tell clear "{}" >/dev/null; }
lessen() { # the options of an account that may less: $few
	hide 'Blind-Folded-9!'
	few=(--set 'user=LAB\blind' --set "password=file:$work/hidden")
}
