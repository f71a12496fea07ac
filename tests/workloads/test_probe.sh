#!/bin/bash
# SPDX-License-Identifier: MIT
# test_probe.sh PROBE: round trips over this host's loopback device and, where networks may be made,
# over a wire of its own; wrong usage; and that nothing stays, also after kill -9.
set -euo pipefail
probe=$(readlink -f "$1")
scratch=$(mktemp -d /tmp/nct-XXXXXX)
trap 'rm -rf --one-file-system "$scratch"' EXIT
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
port=$((20000 + $$ % 20000))

# expect CODE COMMAND…
expect() {
  local wanted=$1 code=0
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || code=$?
  [ $code = "$wanted" ] || { cat "$scratch/err" >&2; fail "exit code $code, not $wanted: $*"; }
}
says() { grep -qF -- "$1" "$scratch/err" "$scratch/out" || { cat "$scratch/err" >&2; fail "nothing says $1"; }; }
ours() { pgrep -f "^$probe " || true; }
nothing_left() {
  for ((tenths = 0; tenths < 50; tenths++)); do
    [ -n "$(ours)" ] || return 0
    sleep 0.1
  done
  fail "still there: $(pgrep -af "^$probe ")"
}

for wrong in '' 'echo' 'echo 127.0.0.1 0 1' 'echo 127.0.0.1 1 x' 'echo 127.0.0.1 1 1 foreground' \
  'ping 127.0.0.1 70000 1 1 64' 'ping 127.0.0.1 1 0 1 64' 'ping 127.0.0.1 1 1 1 31' \
  'ping 127.0.0.1 1 1 1 1473' 'ping 127.0.0.1 1 1 1000001 64' 'pair wire 1 a -- b' 'pair veth 0 a -- b' \
  'pair loopback 1 a b c d' 'pair loopback 1 -- b c d' 'pair loopback 1 a b c --'; do
  # shellcheck disable=SC2086 # words
  expect 2 "$probe" $wrong
done
expect 1 "$probe" echo localhost $port 1
says 'localhost is no IPv4 address'

expect 0 "$probe" pair loopback $port "$probe" echo 127.0.0.1 $port 60 -- \
  "$probe" ping 127.0.0.1 $port 500 50 64
says '"probe":1,"sent":50,'
nothing_left
expect 3 "$probe" pair loopback $port "$probe" echo 127.0.0.1 $port 60 -- sh -c 'exit 3'
expect 1 "$probe" pair loopback $port false -- "$probe" ping 127.0.0.1 $port 500 50 64
says 'the server has ended before it listened'
expect 127 "$probe" pair loopback $port "$probe" echo 127.0.0.1 $port 60 -- "$scratch/none" x y
says 'cannot run'

veth() { "$probe" pair veth $port "$probe" echo 192.0.2.2 $port 60 -- "$@"; }
code=0
veth true 2>"$scratch/err" || code=$?
if [ $code = 0 ]; then
  before=$(ls /sys/class/net)
  expect 0 veth "$probe" ping 192.0.2.2 $port 500 50 1472
  says '"sent":50,'
  veth sleep 60 &
  sleep 1
  [ -n "$(ours)" ] || fail 'nothing to kill: the test proves nothing'
  kill -9 "$(pgrep -f "^$probe pair veth")"
  wait 2>/dev/null || true
  nothing_left
  [ "$(ls /sys/class/net)" = "$before" ] || fail 'devices have changed'
else
  says 'run it as root, or'
fi
