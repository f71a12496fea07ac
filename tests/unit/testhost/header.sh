#!/bin/sh
# SPDX-License-Identifier: MIT
# header.sh CC CXX SDK: testhost.h compiles alone beside the headers of the ABI, as they do.
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -R "$3/include/novacore" "$tree"
cp "$3/testhost/include/novacore/testhost.h" "$tree/novacore"
sh "$(dirname "$0")/../../headers/check.sh" "$1" "$2" "$tree"
