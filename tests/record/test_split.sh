#!/bin/bash
# SPDX-License-Identifier: MIT
# Many recordings of a workload with 70, 20 and 10 % in three functions, and of one with 50, 40 and 10:
# intervals hold the shares, and differences mark what changed and nothing else. split.py judges.
judge=$(dirname "$(readlink -f "$0")")/split.py
. "$(dirname "$0")/lib.sh"

# NAME FIRST LAST PARTS…: some 400 samples each. Of CPU time, so that a busy machine takes none away.
take() {
  local name=$1 i last=$3
  for ((i = $2; i <= last; i++)); do
    "$novacore" record --freq 997 --overhead 20% --output "$name$i" -- "$workload" 0.4 0 0 "${@:4}" >"$name$i.out" 2>&1 ||
      { cat "$name$i.out"; return 1; }
  done
}
take plain 1 24 70 20 10 &
one=$!
take plain 25 48 70 20 10
take changed 1 12 50 40 10
wait $one || fail 'a recording failed'
expect 0 python3 "$judge" "$novacore" 48 12
cat out
