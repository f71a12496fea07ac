#!/bin/bash
# SPDX-License-Identifier: MIT
# Names are looked for in programs whose ELF and DWARF are broken (spoiled.py).
judge=$(dirname "$(readlink -f "$0")")/spoiled.py
. "$(dirname "$0")/lib.sh"
expect 0 python3 "$judge" "$novacore" "$inlined"
cat out
