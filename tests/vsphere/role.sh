#!/bin/sh
# SPDX-License-Identifier: MIT
# role.sh SOURCE: the role that is shipped has exactly the privileges that the driver asks for.
set -eu
names() { grep -oE '"[A-Z][A-Za-z]+\.[A-Za-z.]+"' "$1" | LC_ALL=C sort; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
names "$1/plugins/hypervisors/vsphere/target.c" >"$scratch/asked"
names "$1/docs/roles/vsphere.ps1" >"$scratch/given"
[ "$(wc -l <"$scratch/asked")" -gt 20 ] || { echo "target.c names no privileges"; exit 1; }
diff "$scratch/asked" "$scratch/given"
