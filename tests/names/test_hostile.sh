#!/bin/bash
# SPDX-License-Identifier: MIT
# Files that are broken on purpose, or shrink while they are looked at: the recording is whole, and the
# names of all other files are there.
. "$(dirname "$0")/lib.sh"
unset DEBUGINFOD_URLS

note 'what breaks its reader has no names, and all others do'
for kind in breaks devours; do
  cp "$library" $kind.so
  expect 0 env LD_PRELOAD="$breaks" "$novacore" record --stacks frame-pointers --freq 499 --output $kind -- "$opens" ./$kind.so 1
  ! grep -q 'inner' $kind/cpu.folded || fail 'it was read'
  grep -q '\[unknown\]' $kind/cpu.folded || fail "$(head -3 $kind/cpu.folded)"
  grep -q '^names_opens [0-9]*;.*main' $kind/cpu.folded || fail "others have no names: $(head -3 $kind/cpu.folded)"
  expect 0 "$novacore" hotspots $kind/recording.nova
  says "$kind.so have no names"
done
says 'takes more than 4 GiB of memory'
[ -z "$(find . -name 'core*' -type f)" ] || fail 'it left a core file'

note 'a library that shrinks while it is unwound'
if [ "$(uname -m)" = x86_64 ]; then
  end=$(readelf -SW "$library" | sed -n 's/.* \.text *PROGBITS *[0-9a-f]* \([0-9a-f]*\) \([0-9a-f]*\) .*/0x\1 + 0x\2/p')
  cp "$library" shrinks.so
  "$opens" ./shrinks.so 60 &
  running=$!
  sleep 0.3
  "$novacore" record --stacks dwarf --pid $running --duration 3s --output s >out 2>err &
  recorder=$!
  sleep 1
  truncate -s $(((end / 4096 + 1) * 4096)) shrinks.so
  wait $recorder || fail "the recorder ended with $?: $(cat err)"
  kill $running 2>/dev/null || true
  wait $running 2>/dev/null || true
  grep -q '_start;.*main' s/cpu.folded || fail "stacks are not whole: $(head -3 s/cpu.folded)"
fi

note 'sizes, offsets and trees that no linker makes'
for seed in 1 2 3 4 5 6; do
  python3 "$(dirname "$0")/spoil.py" "$inlined" hostile $seed
  chmod 755 hostile
  expect 0 "$novacore" record --freq 199 --output h$seed -- ./hostile 1
  expect 0 "$novacore" hotspots h$seed/recording.nova
done
