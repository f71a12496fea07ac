#!/bin/sh
# SPDX-License-Identifier: MIT
# role.sh SOURCE: the roles that are shipped have exactly the privileges that the driver asks for.
set -eu
names() { grep -v '^#' "$1" | grep -oE '\b(VM|Datastore|SDN)\.[A-Z][A-Za-z.]+' | LC_ALL=C sort -u; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
names "$1/plugins/hypervisors/proxmox/target.c" >"$scratch/asked"
names "$1/docs/roles/proxmox.sh" >"$scratch/given"
[ "$(wc -l <"$scratch/asked")" -gt 15 ] || { echo "target.c names no privileges"; exit 1; }
diff "$scratch/asked" "$scratch/given"
