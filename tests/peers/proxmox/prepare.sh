#!/bin/sh
# SPDX-License-Identifier: MIT
# Prepares the peer in DIRECTORY (of the build): npm packages, the extracted schema, certificates.
# Everything is cached there. Exit status 77, with the reason, where it cannot be had.
#
#   prepare.sh DIRECTORY
set -eu
directory=$1
here=$(cd "$(dirname "$0")" && pwd)

for tool in node npm openssl; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skipped: $tool is not installed (./dev deps installs it)"
		exit 77
	fi
done

# somebody else's build: as it is, or not at all
if [ -d "$directory" ] && [ ! -w "$directory" ]; then
	if [ -r "$directory/schema.json" ] && [ -r "$directory/cert-key.pem" ]; then
		exit 0
	fi
	echo "skipped: $directory is not prepared and not writable for this user"
	exit 77
fi
if ! mkdir -p "$directory" 2>/dev/null; then
	echo "skipped: $directory cannot be made by this user"
	exit 77
fi
cd "$directory"
exec 9>lock
flock 9

if ! cmp -s "$here/package-lock.json" package-lock.json || [ ! -d node_modules/typescript ]; then
	rm -rf node_modules schema.json
	cp "$here/package.json" "$here/package-lock.json" .
	if ! npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1; then
		rm -f package-lock.json
		echo "skipped: npm cannot install the types that the schema is extracted from: $(grep -m1 -i 'error' npm.log || echo 'see npm.log')"
		exit 77
	fi
fi
if [ ! -s schema.json ] || [ "$here/extract.js" -nt schema.json ]; then
	node "$here/extract.js" . schema.part
	mv schema.part schema.json
fi

# shellcheck source=tests/peers/common/certificates.sh
. "$here/../common/certificates.sh"
