#!/bin/bash
# SPDX-License-Identifier: MIT
# An ordinary user records own processes, or is told exactly what to change.
. "$(dirname "$0")/lib.sh"
user=()
if [ "$(id -u)" = 0 ]; then
  command -v setpriv >/dev/null || { echo 'SKIP: no setpriv'; exit 77; }
  [ "$paranoid" -le 2 ] || { echo "SKIP: kernel.perf_event_paranoid is $paranoid"; exit 77; }
  # the trees may stand where others have no access
  install -m 755 "$novacore" "$workload" .
  novacore=$PWD/novacore workload=$PWD/record_workload
  mkdir -p "$NOVACORE_HOME" of-user
  chmod 777 "$NOVACORE_HOME" of-user
  user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
else
  mkdir of-user
fi

note 'an own command'
expect 0 "${user[@]}" "$novacore" record --output of-user/a -- "$workload" 2
[ "$paranoid" -lt 2 ] || says 'kernel.perf_event_paranoid=1 or CAP_PERFMON'
shares of-user/a/recording.nova

note 'what others own'
if [ "$paranoid" -ge 1 ]; then
  expect 3 "${user[@]}" "$novacore" record --all --output of-user/b
  says 'sysctl kernel.perf_event_paranoid=0'
  says 'setcap cap_perfmon'
  [ ! -e of-user/b ] || fail 'a refused recording left something'
fi
expect 3 "${user[@]}" "$novacore" record --pid 1 --output of-user/c
says 'belongs to another user'
