#!/bin/sh
# SPDX-License-Identifier: MIT
# Prepares the peer in DIRECTORY (of the build): certificates. Everything is cached there. Exit status
# 77, with the reason, where the peer cannot be had.
#
#   prepare.sh DIRECTORY
set -eu
directory=$1
here=$(cd "$(dirname "$0")" && pwd)

if ! command -v openssl >/dev/null 2>&1; then
	echo "skipped: openssl is not installed (./dev deps installs it)"
	exit 77
fi
if ! /usr/bin/python3 -c 'import impacket.ntlm' 2>/dev/null; then
	echo "skipped: python3-impacket, which checks NTLMv2, is not installed (./dev deps installs it)"
	exit 77
fi

# somebody else's build: as it is, or not at all
if [ -d "$directory" ] && [ ! -w "$directory" ]; then
	if [ -r "$directory/cert-key.pem" ]; then
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

. "$here/../common/certificates.sh"
