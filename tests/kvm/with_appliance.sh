#!/bin/bash
# SPDX-License-Identifier: MIT
# with_appliance.sh NOVACORE COMMAND…: builds the appliance in a place of its own and runs the command
# with NOVACORE_TEST_APPLIANCE naming its directory.
set -euo pipefail
novacore=$1
shift
NOVACORE_HOME=$(mktemp -d /tmp/novacore-appliance-XXXXXX)
export NOVACORE_HOME
chmod 755 "$NOVACORE_HOME" # as root, QEMU is another user
trap 'rm -rf --one-file-system "$NOVACORE_HOME"' EXIT
"$novacore" guest build >&2
NOVACORE_TEST_APPLIANCE=$("$novacore" guest info --format json |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["directory"])')
export NOVACORE_TEST_APPLIANCE
"$@"
