#!/bin/bash
# SPDX-License-Identifier: MIT
# Xen Orchestra's own client (npm xen-api) leads a VM through its life at our peer: so the peer is not
# shaped to our driver.
#
#   client.sh PEER-SOURCE PEER-DIRECTORY
set -euo pipefail
source=$1 peer=$2
secret=squirrel-of-the-test
"$source/prepare.sh" "$peer" client || exit $?
# shellcheck source=tests/peers/common/peer.sh
. "$(dirname "$0")/../peers/common/peer.sh"

# modules are found from where they are installed
cp "$(dirname "$0")/client.mjs" "$peer/client.mjs"
NODE_EXTRA_CA_CERTS=$peer/cert.pem timeout -k 5 60 node "$peer/client.mjs" "$port" "$secret" 9>&-
rejected=$(node -e 'fetch(process.argv[1]).then((r) => r.json()).then((all) => console.log(JSON.stringify(all.rejected)))' \
	"http://127.0.0.1:$control/calls")
[ "$rejected" = '[]' ] || { echo "the peer refused $rejected"; exit 1; }
