#!/bin/bash
# SPDX-License-Identifier: MIT
# The tables in docs/configuration.md and in the profiles' manual pages are what the program says.
# UPDATE=1 test_docs.sh NOVACORE SOURCE writes them anew.
source=$(readlink -f "$2")
. "$(dirname "$0")/../run/lib.sh"

# table FILE COMMAND…: what stands between the markers in FILE is what the command prints
table() {
  local file=$1
  shift
  expect 0 "$@"
  [ -f "$file" ] || fail "$file is missing"
  grep -q '^<!-- generated' "$file" || fail "$file has no table"
  sed '/^<!-- generated/,/^<!-- end -->/{/^<!--/!d}' "$file" |
    sed "/^<!-- generated/r $scratch/out" >"$scratch/new"
  if [ "${UPDATE:-}" ]; then
    cat "$scratch/new" >"$file"
  else
    diff -u "$file" "$scratch/new" >&2 || fail "$file is out of date; run: UPDATE=1 $0 NOVACORE SOURCE"
  fi
}
table "$source/docs/configuration.md" "$novacore" config keys --format markdown
# without the benchmark, its parameters are not among a profile's settings
if ! "$novacore" config keys benchmark.lifecycle >/dev/null 2>&1; then
  note 'the benchmark lifecycle is not built: the pages of the profiles are not compared'
  exit 0
fi
for folder in "$source"/plugins/profiles/*/; do
  name=$(basename "$folder")
  table "$folder$name.md" "$novacore" profile show "$name" --format markdown
done
