#!/bin/bash
# SPDX-License-Identifier: MIT
# Each kernel.perf_event_paranoid from 2 on: an ordinary user records what is its own, and is told for the rest
# what to change. What is told is done here, and then it works.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { echo 'as an ordinary user: nothing to be changed, record_user is for that'; exit 0; }
for tool in setpriv setcap; do
  command -v $tool >/dev/null || { echo "SKIP: no $tool"; exit 77; }
done
knob=/proc/sys/kernel/perf_event_paranoid
was=$(cat $knob)
[ -w $knob ] || { echo "SKIP: $knob may not be written here"; exit 77; }
# It is the whole machine's: back it goes, whatever happens.
trap 'echo "$was" >$knob; leave' EXIT
set_to() { echo "$1" >$knob && [ "$(cat $knob)" = "$1" ] || fail "kernel.perf_event_paranoid does not take $1"; }

install -m 755 "$novacore" "$workload" .
install -m 755 "$novacore" with-capability
novacore=$PWD/novacore workload=$PWD/record_workload
mkdir -p "$NOVACORE_HOME" of-user
chmod 777 "$NOVACORE_HOME" of-user
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@"; }
new() { number=$((${number:-0} + 1)) && place=of-user/$number; }
# record ARGUMENTS…: by the user, into a place of its own
record() { new && as_user "$novacore" record --output "$place" "$@"; }

# told WHAT ARGUMENTS…: it works; or it is refused, and works once what is told has been done.
told() {
  local what=$1 level code=0 value
  level=$(cat $knob)
  shift
  record "$@" >out 2>err </dev/null || code=$?
  if [ $code = 0 ]; then
    echo "   $what: works at $level"
    return
  fi
  [ $code = 3 ] || fail "$what: exit code $code: $(cat err)"
  [ ! -e "$place" ] || fail "$what: a refused recording left something"
  says "kernel.perf_event_paranoid is $level"
  says 'setcap cap_perfmon+ep'
  value=$(sed -n 's/.*sysctl kernel\.perf_event_paranoid=\(-\?[0-9]*\).*/\1/p' err)
  [ -n "$value" ] || fail "$what: no value is told: $(cat err)"
  set_to "$value"
  code=0
  record "$@" >out 2>err </dev/null || code=$?
  [ $code = 0 ] || fail "$what: it was told that $value is enough, and it is not: $(cat err)"
  set_to "$((value + 1))"
  if record "$@" >out 2>err </dev/null; then fail "$what: it was told that $value is needed, and $((value + 1)) is enough"; fi
  set_to "$level"
  echo "   $what: refused at $level, works at $value as it was told"
}

as_user "$workload" 600 &
running=$!
cgroup=$(findmnt -n -o TARGET -t cgroup2 | head -1)
for level in 2 3 4; do
  note "kernel.perf_event_paranoid is $level"
  set_to $level
  told 'a command of its own' -- "$workload" 0.3
  told 'a process of its own' --pid "$(pgrep -u 65534 -f "^$workload 600")" --duration 300ms
  told 'its waits' --off-cpu -- sleep 0.3
  told 'all processes' --all --duration 300ms
  [ -z "$cgroup" ] || told 'a cgroup' --cgroup "$cgroup" --duration 300ms
done

note 'or by the capability that is told'
set_to 2
if ! setcap cap_perfmon+ep with-capability 2>/dev/null; then
  echo '   this file system or container keeps no capabilities'
else
  plain=$novacore novacore=$PWD/with-capability
  for kind in --all '--off-cpu --all'; do
    # shellcheck disable=SC2086 # words
    record $kind --duration 500ms >out 2>err || fail "cap_perfmon is not enough for $kind: $(cat err)"
  done
  setcap cap_perfmon,cap_sys_ptrace+ep with-capability
  record --pid $$ --duration 300ms >out 2>err || says 'not one sample was taken' # of root, and it waits
  record --off-cpu -- sleep 0.3 >out 2>err || fail "cap_perfmon is not enough for waits: $(cat err)"
  novacore=$plain
fi
kill "$(pgrep -u 65534 -f "^$workload 600")"
wait $running || true
