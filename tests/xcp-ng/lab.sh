# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): starts the peer, and configures the target
# `lab` in $work/lab.conf.
made="self-made: tests/peers/xcp-ng, which Xen Orchestra's own client is led through as well"
secret=squirrel-of-the-test
# shellcheck source=tests/peers/common/peer.sh
. "$source/../common/peer.sh"
secrets=("$secret")
cat >"$work/lab.conf" <<EOF
target = { lab = { plugin = "xcp-ng"; uri = "https://127.0.0.1:$port"; host = "a-host1";
  password = "file:$work/token"; ca_file = "$peer/cert.pem";
  template = "debian12"; tools = true; poll_longest = "200ms"; }; };
EOF
check+=(--image debian12 --expire-session "$(told expire "{}")")
harm() { tell fault "$1" >/dev/null; } # what goes wrong from now on
heal() { tell clear "{}" >/dev/null; }
lessen() { # the options of an account that may less: $few
	hide reading-squirrel
	few=(--set user=reader --set "password=file:$work/hidden")
}
