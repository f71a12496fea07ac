#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the peer that prepare.sh has prepared: the self-made one, or with CACHE the real API server there.
#
#   start.sh DIRECTORY [CACHE]
here=$(cd "$(dirname "$0")" && pwd)
role=$here/../../../docs/roles/kubevirt.yaml
cd "$1" || exit 1
if [ -n "${2:-}" ]; then
	exec node "$here/real.js" --apiserver "$2/kube-apiserver" --directory . --schema schema.json --role "$role"
fi
exec node "$here/server.js" --cert cert.pem --key cert-key.pem --client-ca client-ca.pem \
	--schema schema.json --role "$role"
