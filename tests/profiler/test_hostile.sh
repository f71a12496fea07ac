#!/bin/bash
# SPDX-License-Identifier: MIT
# test_hostile.sh NOVACORE: recordings as large, deep and wrong as they can be; hostile.py makes and judges them.
judge=$(dirname "$(readlink -f "$0")")/hostile.py
. "$(dirname "$0")/lib.sh"
python3 "$judge" "$novacore" || fail 'not all of it holds'
echo "all of it holds"
