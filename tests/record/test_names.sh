#!/bin/bash
# SPDX-License-Identifier: MIT
# Names of what is not simply a file that is there: deleted, replaced, in another root, made at run time.
. "$(dirname "$0")/lib.sh"

note 'code that was made at run time'
expect 0 "$novacore" record --output a -- "$jit" 1
rm -f /tmp/perf-"$(sed -n 's/^record_jit \([0-9]*\);.*/\1/p' a/cpu.folded | head -1)".map
grep -q '^record_jit [0-9]*;.*made at run time_\[j\] [0-9]*$' a/cpu.folded || fail "no name: $(head -3 a/cpu.folded)"

note 'a file that another one has replaced'
cp "$workload" replaced
expect 0 "$novacore" record --output b -- ./replaced 1
cp "$novacore" replaced.new
mv replaced.new replaced
expect 0 "$novacore" hotspots b/recording.nova # it has its names already
says 'seventy'

if unshare --pid --fork --mount-proc true 2>/dev/null; then # needs root
  note 'code that was made at run time in a container, which has numbers and a /tmp of its own'
  # the program itself may stand below /tmp
  unshare --pid --fork --mount-proc --kill-child bash -c \
    'exec 9<"$0" && mount -t tmpfs none /tmp && (exec -a "$0" /proc/self/fd/9 20); :' "$jit" &
  for _ in $(seq 100); do
    inner=$(pgrep -f "^$jit 20" || true)
    [ -z "$inner" ] || ! ls "/proc/$inner/root/tmp/" | grep -q '^perf-[0-9]*\.map$' || break
    sleep 0.1
  done
  expect 0 "$novacore" record --output jit --pid "$inner" --duration 1s
  kill "$inner"
  grep -q '^[^;]* [0-9]*;.*made at run time_\[j\] [0-9]*$' jit/cpu.folded || fail "no name: $(head -3 jit/cpu.folded)"
fi

if [ "$(id -u)" != 0 ]; then
  echo 'the rest needs root: processes of others are looked into'
  exit 0
fi

note 'a file that was deleted'
cp "$workload" deleted
./deleted 100 &
running=$!
sleep 0.3
rm deleted
expect 0 "$novacore" record --pid $running --duration 2s --output c
kill $running
wait $running || true
says 'seventy'
cp "$novacore" deleted # has another build-id: what is read of it would be wrong
expect 0 "$novacore" hotspots c/recording.nova
says 'seventy'

note 'a file in another root'
mkdir -p root/lib
cp "$workload" root/inside
ldd "$workload" | grep -oE '/[^ ]+' | while read -r library; do
  mkdir -p "root$(dirname "$library")"
  cp -L "$library" "root$library"
done
chroot root /inside 100 &
running=$!
sleep 0.3
expect 0 "$novacore" record --pid $running --duration 2s --output d
kill $running
wait $running || true
says 'seventy'
