#!/bin/bash
# SPDX-License-Identifier: MIT
# kill -9 in the middle of a burst, of novacore and of its worker: the next run, or clean, leaves
# nothing of ours, and touches neither a foreign VM nor one of another installation on that libvirt.
. "$(dirname "$0")/../run/lib.sh"
. "$(dirname "$0")/../run/kvm.sh"
run=("$novacore" run --plugin kvm --set hypervisor.kvm.accel=tcg --benchmark density
  --set density.guest=stub --set density.cooldown=0s --format json --output r.json)

expect 0 "${run[@]}" --set density.count=1
find_installation
[ -z "$(ours)" ] || fail "a finished run leaves QEMUs"
make_foreigners

# In the middle: so many of forty are there.
begin_burst() {
  "${run[@]}" --set density.count=40 >out 2>err </dev/null &
  parent=$!
  wait_for_qemu "$1"
}
die() {
  kill -9 "$parent"
  wait "$parent" 2>/dev/null || true
  sleep 0.5
  [ -n "$(ours)" ] || fail "nothing is left to clean: the test proves nothing"
  foreigners_alive
}

note "kill -9 of the parent, then the next run"
begin_burst 8
die
expect 0 "${run[@]}" --set density.count=2
[ -z "$(ours)" ] || fail "the next run left QEMUs of the dead one"
foreigners_alive
nothing_left

note "kill -9 of the parent, then clean"
begin_burst 14
die
expect 0 "$novacore" clean --plugin kvm --dry-run
grep -q '^0 objects' out && fail "clean --dry-run finds nothing"
expect 0 "$novacore" clean --plugin kvm
[ -z "$(ours)" ] || fail "clean left QEMUs"
foreigners_alive
nothing_left

note "kill -9 of the worker"
begin_burst 8
kill -9 "$(pgrep -o -P "$parent" -f 'novacore worker')"
code=0
wait "$parent" || code=$?
[ $code = 4 ] || { cat err >&2; fail "exit code $code, not 4"; }
[ -z "$(ours)" ] || fail "QEMUs are left after the worker's death"
foreigners_alive
nothing_left

note "Ctrl-C: all is deleted"
begin_burst 8
kill -INT "$parent"
code=0
wait "$parent" || code=$?
[ $code = 130 ] || { cat err >&2; fail "exit code $code, not 130"; }
[ -z "$(ours)" ] || fail "QEMUs are left after an interruption"
foreigners_alive
nothing_left
