#!/bin/bash
# SPDX-License-Identifier: MIT
# What was written when a recording is killed opens, with names; and the command it ran ends with it.
. "$(dirname "$0")/lib.sh"

"$novacore" record --output a -- "$workload" 60 >/dev/null 2>&1 &
recorder=$!
# until two seconds are written
for ((i = 0; i < 300; i++)); do
  [ -s a/recording.nova ] && "$novacore" recordings show a --format json >about 2>/dev/null &&
    [ "$(json about 'r.get("samples", 0) > 120')" = True ] && break
  sleep 0.1
done
kill -9 $recorder
wait $recorder 2>/dev/null || true
for ((i = 0; i < 50; i++)); do
  pgrep -f "^$workload 60" >/dev/null || break
  sleep 0.1
done
[ -z "$(pgrep -f "^$workload 60")" ] || fail 'the command outlives who recorded it'

note 'it opens'
shares a/recording.nova
expect 0 "$novacore" recordings show a
says 'it was killed'
says 'what it had written is here'

note 'with a torn end, too'
size=$(stat -c %s a/recording.nova)
cp a/recording.nova torn
truncate -s $((size - 3)) torn
expect 0 "$novacore" hotspots torn
says 'were not whole and are left out'
head -c 20 a/recording.nova >torn
expect 2 "$novacore" hotspots torn
says 'the beginning of the recording is broken'

note 'ctrl-c ends it as its duration does'
"$novacore" record --output b -- "$workload" 60 >out 2>err &
recorder=$!
for ((i = 0; i < 300; i++)); do
  [ -s b/recording.nova ] && [ "$(stat -c %s b/recording.nova)" -gt 900 ] && break
  sleep 0.1
done
sleep 1
kill -TERM $recorder
wait $recorder || fail "it ended with $?: $(cat err)"
shares b/recording.nova
[ -s b/cpu.pb.gz ] || fail 'no pprof was written'
