# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests of whole runs on real QEMU: which are ours, and others on the same libvirt that must stay
# untouched. Sourced after lib.sh.
root="$NOVACORE_HOME/state/plugins/kvm/libvirt"
uri="qemu:///embed?root=$root"

find_installation() {
  installation=$(expect 0 "$novacore" doctor; grep -o 'installation [0-9a-f]*' out | cut -d' ' -f2)
  [ -n "$installation" ] || fail "no installation id"
}
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
foreigners=(not-ours novacore-00000000-000000000000-1) # nobody's, and another installation's
make_foreigners() {
  trap 'status=$?; drop_foreigners; set +e; (exit $status); leave' EXIT
  for name in "${foreigners[@]}"; do make_foreign "$name"; done
}
foreigners_alive() { for name in "${foreigners[@]}"; do foreign_alive "$name"; done; }
drop_foreigners() { for name in "${foreigners[@]}"; do drop_foreign "$name"; done; }
# wait_for_qemu [COUNT]: until so many of ours are there.
wait_for_qemu() {
  for ((tenths = 0; tenths < 1200; tenths++)); do
    [ "$(ours | wc -l)" -ge "${1:-1}" ] && return
    sleep 0.1
  done
  fail "no QEMU of ours came up"
}
