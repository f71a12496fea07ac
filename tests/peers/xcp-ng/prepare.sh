#!/bin/sh
# SPDX-License-Identifier: MIT
# Prepares the peer in DIRECTORY (of the build): certificates, and with `client` Xen Orchestra's own
# client from npm as well. Exit status 77, with the reason, where it cannot be had.
#
#   prepare.sh DIRECTORY [client]
set -eu
directory=$1
here=$(cd "$(dirname "$0")" && pwd)

for tool in node openssl ${2:+npm}; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skipped: $tool is not installed (./dev deps installs it)"
		exit 77
	fi
done

# somebody else's build: as it is, or not at all
if [ -d "$directory" ] && [ ! -w "$directory" ]; then
	if [ -r "$directory/cert-key.pem" ] && { [ -z "${2:-}" ] || [ -d "$directory/node_modules/xen-api" ]; }; then
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

if [ -n "${2:-}" ]; then
	if ! cmp -s "$here/package-lock.json" package-lock.json || [ ! -d node_modules/xen-api ]; then
		rm -rf node_modules
		cp "$here/package.json" "$here/package-lock.json" .
		if ! npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1; then
			rm -f package-lock.json
			echo "skipped: npm cannot install xen-api: $(grep -m1 -i 'error' npm.log || echo 'see npm.log')"
			exit 77
		fi
	fi
fi

names=IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3
# shellcheck source=tests/peers/common/certificates.sh
. "$here/../common/certificates.sh"
