#!/bin/bash
# SPDX-License-Identifier: MIT
# kill -9 at any moment, of who records and of those that it started: what was written opens (kill.py).
# And a disk that is full, and a directory that is gone.
judge=$(dirname "$(readlink -f "$0")")/kill.py
. "$(dirname "$0")/lib.sh"
expect 0 python3 "$judge" "$novacore" "$workload"
cat out

note 'the directory is gone'
"$novacore" record --output gone -- "$workload" 60 >out 2>err &
recorder=$!
for ((i = 0; i < 300; i++)); do
  [ -s gone/recording.nova ] && break
  sleep 0.1
done
rm -r gone
kill -INT $recorder
code=0
wait $recorder || code=$?
[ $code -gt 0 ] && [ $code -lt 128 ] || fail "it ended with $code"
says 'gone/recording.nova'
[ ! -e gone ] || fail 'it made the directory anew'

[ "$(id -u)" = 0 ] || { echo 'a disk that is full needs root: a small file system is mounted'; exit 0; }
note 'the disk is full'
mkdir small
mount -t tmpfs -o size=64k,mode=700 tmpfs small
trap 'umount "$scratch/small"; leave' EXIT
head -c 57344 /dev/zero >small/ballast # leaves two pages
code=0
timeout 60 "$novacore" record --freq 2000 --overhead 30% --output small/a -- "$inlined" 20 >out 2>err || code=$?
[ $code = 4 ] || fail "it ended with $code: $(cat err)"
says 'no space left'
[ -z "$(pgrep -f "^$inlined 20")" ] || fail 'the command goes on'
left=$(ls small/a)
[ "$left" = recording.nova ] || fail "half a file is left: $left"
rm small/ballast # so that what reads it may write
expect 0 "$novacore" recordings show small/a
says 'it was killed'
