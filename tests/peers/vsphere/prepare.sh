#!/bin/sh
# SPDX-License-Identifier: MIT
# Prepares the peer in DIRECTORY (of the build): the program, built from Debian's govmomi, certificates.
# Everything is cached there. Exit status 77, with the reason, where it cannot be had.
#
#   prepare.sh DIRECTORY
set -eu
directory=$1
here=$(cd "$(dirname "$0")" && pwd)

for tool in go openssl; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skipped: $tool is not installed (./dev deps installs it)"
		exit 77
	fi
done
if [ ! -d /usr/share/gocode/src/github.com/vmware/govmomi/simulator ]; then
	echo "skipped: golang-github-vmware-govmomi-dev is not installed (./dev deps installs it)"
	exit 77
fi

# somebody else's build: as it is, or not at all
if [ -d "$directory" ] && [ ! -w "$directory" ]; then
	if [ -x "$directory/peer" ] && [ -r "$directory/cert-key.pem" ]; then
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

if [ ! -x peer ] || [ -n "$(find "$here" -name '*.go' -newer peer)" ]; then
	(cd "$here" && GO111MODULE=off GOPROXY=off GOFLAGS=-trimpath GOPATH=/usr/share/gocode \
		GOCACHE="$directory/cache" GOTMPDIR="$directory" CGO_ENABLED=0 go build -o "$directory/peer.part" .)
	mv peer.part peer
fi

# shellcheck source=tests/peers/common/certificates.sh
. "$here/../common/certificates.sh"
