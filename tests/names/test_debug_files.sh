#!/bin/bash
# SPDX-License-Identifier: MIT
# What debuggers need stands in a file of its own, as distributions have it.
. "$(dirname "$0")/lib.sh"
unset DEBUGINFOD_URLS

cp "$inlined" program
split program
note 'without it, functions are told by their places only'
expect 0 "$novacore" record --output a -- ./program 1
! grep -q 'Machine::turn\|deep<' a/cpu.folded || fail 'a stripped program has names'
grep -q ';program+0x[0-9a-f]* [0-9]*$' a/cpu.folded || fail "no places: $(head -3 a/cpu.folded)"

note 'beside the program, as .gnu_debuglink says'
mkdir .debug
mv program.dbg .debug/program.debug
(cd .debug && objcopy --add-gnu-debuglink=program.debug ../program)
expect 0 "$novacore" record --output b -- ./program 1
grep -q "$deep" b/cpu.folded || fail "nothing is inlined: $(head -3 b/cpu.folded)"

note 'another one of that name is not taken'
expect 0 "$novacore" record --output b2 -- ./program 1 # it was kept, and is the same
grep -q "$deep" b2/cpu.folded || fail "nothing is inlined: $(head -3 b2/cpu.folded)"
[ -n "$(ls "$NOVACORE_HOME/cache/names")" ] || fail 'nothing was kept'
forget
cp "$workload" .debug/program.debug
expect 0 "$novacore" record --output c -- ./program 1
! grep -q 'Machine::turn\|deep<\|seventy' c/cpu.folded || fail "wrong names: $(head -3 c/cpu.folded)"

[ "$(id -u)" = 0 ] || { echo 'the rest needs root: it writes below /usr/lib/debug'; exit 0; }
note 'below /usr/lib/debug, by build-id'
cp "$inlined" other
# a build-id that no other program has
python3 - other <<'PYTHON'
import os, sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0") + 16
data[at:at + 20] = os.urandom(20)
open(sys.argv[1], "wb").write(data)
PYTHON
split other
id=$(readelf -n other | sed -n 's/.*Build ID: //p')
place=/usr/lib/debug/.build-id/${id:0:2} made=
[ -d "$place" ] || { mkdir -p "$place"; made=$place; }
at_end "rm -f '$place/${id:2}.debug'; [ -z '$made' ] || rmdir '$made'"
cp other.dbg "$place/${id:2}.debug"
expect 0 "$novacore" record --output d -- ./other 1
grep -q "$deep" d/cpu.folded || fail "nothing is inlined: $(head -3 d/cpu.folded)"
