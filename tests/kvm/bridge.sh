#!/bin/bash
# SPDX-License-Identifier: MIT
# bridge.sh TEST: bridges and taps of the kvm driver in a network of the test's own; then with a
# firewall that drops what passes over bridges, for which sockets must be taken.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo 'skipped: bridges need root'; exit 77; }
unshare --net true 2>/dev/null || { echo 'skipped: no network namespace can be made'; exit 77; }
unshare --net sh -c 'ip link set lo up && exec "$1"' sh "$1"
if ! command -v iptables >/dev/null || [ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
  echo 'no firewall sees bridged packets here: not tried'
  exit 0
fi
unshare --net sh -c '
  ip link set lo up
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  iptables -P FORWARD DROP && exec "$1" dropped' sh "$1"
