#!/bin/bash
# SPDX-License-Identifier: MIT
# Real QEMU guests: kill -9 of the parent and of the worker; what dead runs leave is deleted, a
# foreign VM and one of another installation on the same libvirt stay untouched, and a resume
# completes the run.
. "$(dirname "$0")/lib.sh"

root="$NOVACORE_HOME/state/plugins/kvm/libvirt"
uri="qemu:///embed?root=$root"
run=("$novacore" --profile dev --plugin kvm --set vm.standard.memory=256MiB --set run.samples=6
  --set run.warmup=0 --set lifecycle.concurrency=2 --set lifecycle.snapshot=false
  --set lifecycle.restore=false --full --format json --output r.json)

# Our QEMUs, by the name on their command line.
ours() { pgrep -f "guest=novacore-$installation-" || true; }
# A VM that is not of this run, on the same libvirt.
make_foreign() {
  cat >"$1.xml" <<XML
<domain type='qemu'><name>$1</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>
XML
  virsh -q -c "$uri" define "$1.xml" >virsh.log 2>&1 || { cat virsh.log >&2; fail "cannot define $1"; }
  virsh -q -c "$uri" start "$1" >virsh.log 2>&1 || { cat virsh.log >&2; fail "cannot start $1"; }
}
# By its files, too: this test may run elsewhere on the machine at the same time.
foreign_alive() { [ "$(pgrep -fc "guest=$1,.*$scratch/")" = 1 ] || fail "$1 is gone"; }
drop_foreign() { virsh -q -c "$uri" destroy "$1" >/dev/null 2>&1 || true; }

expect 0 "${run[@]}" --set run.samples=2
installation=$(expect 0 "$novacore" doctor; grep -o 'installation [0-9a-f]*' out | cut -d' ' -f2)
[ -n "$installation" ] || fail "no installation id"
[ -z "$(ours)" ] || fail "a finished run leaves QEMUs"
make_foreign not-ours
make_foreign novacore-00000000-000000000000-1
trap 'status=$?; drop_foreign not-ours; drop_foreign novacore-00000000-000000000000-1; (exit $status); leave' EXIT

wait_for_qemu() {
  for ((tenths = 0; tenths < 600; tenths++)); do
    [ -n "$(ours)" ] && return
    sleep 0.1
  done
  fail "no QEMU of ours came up"
}

note "kill -9 of the parent"
"${run[@]}" >out 2>err </dev/null &
parent=$!
wait_for_qemu
sleep "$((RANDOM % 3)).$((RANDOM % 10))"
kill -9 "$parent"
wait "$parent" 2>/dev/null || true
sleep 0.5
foreign_alive not-ours
foreign_alive novacore-00000000-000000000000-1
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json 'r["run"]["state"] == "complete"'
check r.json 'sorted(x["replicate"] for s in r["steps"] for x in s["replicates"] if x["state"] == "done") == [0, 1, 2]'
check r.json 'all(m["n"] == 6 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'
[ -z "$(ours)" ] || fail "QEMUs are left after the resume"
nothing_left

note "kill -9 of the worker"
"${run[@]}" >out 2>err </dev/null &
parent=$!
wait_for_qemu
# The oldest: a QEMU that is being started belongs to the parent too, and is still called that.
kill -9 "$(pgrep -o -P "$parent" -f 'novacore worker')"
code=0
wait "$parent" || code=$?
[ $code = 4 ] || { cat err >&2; fail "exit code $code, not 4"; }
[ -z "$(ours)" ] || fail "QEMUs are left after the worker's death"
nothing_left
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json 'all(m["n"] == 6 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'

note "kill -9 of both, then clean"
"${run[@]}" >out 2>err </dev/null &
parent=$!
wait_for_qemu
kill -9 "$parent"
wait "$parent" 2>/dev/null || true
sleep 0.5
[ -n "$(ours)" ] || fail "nothing to clean: the test proves nothing"
expect 0 "$novacore" clean --plugin kvm --dry-run
grep -q '^0 objects' out && fail "clean --dry-run finds nothing"
expect 0 "$novacore" clean --plugin kvm
[ -z "$(ours)" ] || fail "clean left QEMUs"
nothing_left
foreign_alive not-ours
foreign_alive novacore-00000000-000000000000-1
