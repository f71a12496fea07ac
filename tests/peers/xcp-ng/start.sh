#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the peer that prepare.sh has prepared.
#
#   start.sh DIRECTORY
here=$(cd "$(dirname "$0")" && pwd)
cd "$1" && exec node "$here/server.js" --cert cert.pem --key cert-key.pem
