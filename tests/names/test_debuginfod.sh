#!/bin/bash
# SPDX-License-Identifier: MIT
# Files that are not here come from a real debuginfod, as far as time allows. It would listen to everybody:
# so all of this is in a network of its own.
if [ -z "${NETWORK:-}" ]; then
  unshare -rn true 2>/dev/null || { echo 'SKIP: this kernel lets us make no network of our own'; exit 77; }
  own=-rn
  [ "$(id -u)" != 0 ] || own=-n
  NETWORK=own exec unshare $own bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
unset DEBUGINFOD_PROGRESS DEBUGINFOD_TIMEOUT

port=8002 # nobody else is here
mkdir served
cp "$inlined" program
split program
mv program.dbg served/
cp "$workload" gone
cp gone served/kept

debuginfod -p $port -d "$scratch/index" -F "$scratch/served" >server.log 2>&1 &
server=$!
at_end "kill $server; wait $server 2>/dev/null"
for ((i = 0; i < 150; i++)); do
  curl -s http://127.0.0.1:$port/metrics | grep -q '^thread_work_pending{role="scan"} 0' &&
    curl -s http://127.0.0.1:$port/metrics | grep -q '^scanned_files_total.*[2-9]$' && break
  kill -0 $server 2>/dev/null || fail "the server has ended: $(tail -3 server.log)"
  sleep 0.2
done
requests() { grep -c 'GET /buildid/' server.log || true; }

note 'nobody is asked unless a server is named'
expect 0 env -u DEBUGINFOD_URLS "$novacore" record --output a -- ./program 1
! grep -q 'Machine::turn\|deep<' a/cpu.folded || fail 'there are names'
export DEBUGINFOD_URLS=http://127.0.0.1:$port
expect 0 "$novacore" record --debuginfod no --output b -- ./program 1
! grep -q 'Machine::turn\|deep<' b/cpu.folded || fail 'there are names'
[ "$(requests)" = 0 ] || fail "it was asked: $(grep GET server.log | head -3)"

note 'debug information'
expect 0 "$novacore" record --output c -- ./program 1
grep -q "$deep" c/cpu.folded || fail "nothing is inlined: $(head -3 c/cpu.folded; tail -3 server.log)"

note 'what it does not have is told'
cp "$library" other.so
strip other.so
python3 - other.so <<'PYTHON'
import os, sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0") + 16
data[at:at + 20] = os.urandom(20)
open(sys.argv[1], "wb").write(data)
PYTHON
expect 0 "$novacore" record --output d -- "$opens" ./other.so 1
expect 0 "$novacore" hotspots d/recording.nova
says 'debuginfod had nothing of'
says 'other.so'

note 'a program that is gone'
"$novacore" record --output e -- ./gone 60 >/dev/null 2>&1 &
recorder=$!
for ((i = 0; i < 300; i++)); do
  [ -s e/recording.nova ] && "$novacore" recordings show e --format json >about 2>/dev/null &&
    [ "$(json about 'r.get("samples", 0) > 50')" = True ] && break
  sleep 0.1
done
kill -9 $recorder
wait $recorder 2>/dev/null || true
rm gone
expect 0 env -u DEBUGINFOD_URLS "$novacore" hotspots e/recording.nova
says 'the file is not here any more'
expect 0 "$novacore" hotspots e/recording.nova
says 'seventy'

note 'a server that says nothing is left alone, and its password is not told'
python3 -c '
import socket, time
s = socket.create_server(("127.0.0.1", 8003))
open("listens", "w").close()
time.sleep(60)' &
silent=$!
at_end "kill $server $silent; wait 2>/dev/null"
for ((i = 0; i < 100; i++)); do [ -e listens ] && break; sleep 0.1; done
cp "$inlined" mute
split mute
rm mute.dbg
rm -rf "$XDG_CACHE_HOME"
forget
expect 0 env DEBUGINFOD_URLS=http://user:pass-word@127.0.0.1:8003 \
  "$novacore" record --debuginfod 2s --output f -- ./mute 1
expect 0 env -u DEBUGINFOD_URLS "$novacore" hotspots f/recording.nova
says 'the time for it is over'
! grep -rq pass-word f out err || fail 'the password is told'

expect 2 "$novacore" record --debuginfod soon -- true
says '--debuginfod'
