#!/bin/sh
# SPDX-License-Identifier: MIT
# Prepares the peer in DIRECTORY (of the build): npm package, schema, certificates; and with CACHE the real
# API server there, which takes minutes. Everything is kept. Exit status 77, with the reason, where it
# cannot be had.
#
#   prepare.sh DIRECTORY [CACHE]
set -eu
directory=$1
here=$(cd "$(dirname "$0")" && pwd)

for tool in node npm openssl; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skipped: $tool is not installed (./dev deps installs it)"
		exit 77
	fi
done

if [ -n "${2:-}" ]; then
	"$here/build.sh" "$2" || exit $?
	if ! command -v etcd >/dev/null 2>&1; then
		echo "skipped: etcd is not installed (./dev test --all installs it)"
		exit 77
	fi
fi

# somebody else's build: as it is, or not at all
if [ -d "$directory" ] && [ ! -w "$directory" ]; then
	if [ -r "$directory/schema.json" ] && [ -r "$directory/client-key.pem" ]; then
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

if ! cmp -s "$here/package-lock.json" package-lock.json || [ ! -d node_modules/@kubevirt-ui ]; then
	rm -rf node_modules schema.json
	cp "$here/package.json" "$here/package-lock.json" .
	if ! npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1; then
		rm -f package-lock.json
		echo "skipped: npm cannot install the types that the schema is extracted from: $(grep -m1 -i 'error' npm.log || echo 'see npm.log')"
		exit 77
	fi
fi
if [ ! -s schema.json ] || [ "$here/types.js" -nt schema.json ]; then
	node "$here/types.js" . schema.part
	mv schema.part schema.json
fi

# cert.pem for the peer, which is its own authority; other.pem is one that has nothing to do with it;
# client.pem for the user bench-user, signed by client-ca.pem
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
		-subj "/CN=$2" -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" \
		-keyout "$1-key.pem" -out "$1.pem" 2>openssl.log
}
if ! openssl x509 -checkend 86400 -noout -in cert.pem >/dev/null 2>&1 || [ ! -s client.pem ]; then
	certificate cert "novacore test peer"
	certificate other "unrelated authority"
	certificate client-ca "novacore test clients"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=bench-user" \
		-keyout client-key.pem -out client.csr 2>openssl.log
	openssl x509 -req -in client.csr -CA client-ca.pem -CAkey client-ca-key.pem -CAcreateserial -days 30 \
		-out client.pem 2>openssl.log
fi
