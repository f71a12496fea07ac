#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts the peer that prepare.sh has prepared; it ends with its standard input.
#
#   start.sh DIRECTORY
here=$(cd "$(dirname "$0")" && pwd)
cd "$1" && exec /usr/bin/python3 -B "$here/server.py" --cert cert.pem --key cert-key.pem
