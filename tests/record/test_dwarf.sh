#!/bin/bash
# SPDX-License-Identifier: MIT
# Stacks of a program without frame pointers.
. "$(dirname "$0")/lib.sh"
[ "$(uname -m)" = x86_64 ] || { echo 'SKIP: it is for x86-64 only'; exit 77; }

whole='^record_bare [0-9]*;_start;.*main;work;seventy [0-9]*$'
note 'by frame pointers they are not whole, and a note tells the way'
expect 0 "$novacore" record --stacks frame-pointers --output a -- "$bare" 1
! grep -q "$whole" a/cpu.folded || fail 'it has frame pointers'
says 'record --stacks dwarf needs none'

note 'unless it is said, the program itself tells how to walk them'
expect 0 "$novacore" record --output auto -- "$bare" 1
says 'by DWARF: '
says 'record_bare that were looked at keep a frame pointer'
grep -q "$whole" auto/cpu.folded || fail "not whole: $(head -3 auto/cpu.folded)"
printf '#!%s 1\n' "$bare" >script
chmod +x script
PATH=$PWD:$PATH expect 0 "$novacore" record --duration 1s --output of-script -- script
says 'record_bare that were looked at keep a frame pointer' # the interpreter's
expect 0 "$novacore" record --output kept -- "$workload" 1
expect 0 "$novacore" recordings show kept --format json
check out 'r["stacks"] == "frame-pointers" and r["stacks_why"] is None'

note 'by DWARF they are'
expect 0 "$novacore" record --stacks dwarf --output b -- "$bare" 2
grep -q "$whole" b/cpu.folded || fail "not whole: $(head -3 b/cpu.folded)"
expect 0 "$novacore" recordings show b --format json
check out 'r["stacks"] == "dwarf" and r["lost"] == 0 and r["memory_bytes"] < 64 << 20'
whole_samples=$(awk '/;_start;/ { n += $NF } END { print n + 0 }' b/cpu.folded)
all_samples=$(awk '{ n += $NF } END { print n }' b/cpu.folded)
[ "$((whole_samples * 10))" -ge "$((all_samples * 9))" ] || fail "$whole_samples of $all_samples are whole"

note 'of a process with threads that runs already'
"$bare" 100 2 &
running=$!
sleep 0.3
expect 0 "$novacore" record --stacks dwarf --pid $running --duration 2s --output c
kill $running
wait $running || true
grep -q ';start_thread;work;seventy [0-9]*$' c/cpu.folded || fail "no thread: $(head -3 c/cpu.folded)"

note 'where threads wait, too'
if [ "$(id -u)" = 0 ] || [ "$paranoid" -le 1 ]; then
  expect 0 "$novacore" record --off-cpu --stacks dwarf --output d -- sleep 1
  grep -q '^sleep [0-9]*;.*__libc_start_main.*nanosleep' d/off-cpu.folded || fail "$(head -3 d/off-cpu.folded)"
fi
expect 2 "$novacore" record --all --stacks dwarf --output e
says 'copies 8 KiB with each sample'
