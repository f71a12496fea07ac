#!/bin/bash
# SPDX-License-Identifier: MIT
# Real QEMU guests that migrate between the two libvirt daemons that --pair local starts: what is
# measured stands side by side, and no daemon and no QEMU is left; nor are they after a kill -9 in the
# middle of a migration, when a foreign VM and one of another installation stay untouched.
. "$(dirname "$0")/lib.sh"

state="$NOVACORE_HOME/state/plugins/kvm"
run=("$novacore" run --plugin kvm --benchmark migration --pair local --set migration.memory=256MiB
  --set migration.window=500ms --set run.samples=1 --set run.warmup=0 --full)

note "the pair is beside the usual target, which everything else keeps"
plan=("$novacore" --profile dev --plugin kvm --pair local --dry-run)
expect 0 "${plan[@]}" --set run.suite=lifecycle,migration
grep -q 'lifecycle  *on local (kvm):' out || fail "the life cycle left its target"
grep -q 'migration  *on local-pair (kvm), local-twin (kvm):' out || fail "the migration has no pair"
expect 0 "${plan[@]}" --set run.suite=lifecycle
! grep -q 'local-pair' out || fail "a pair that nothing needs"
expect 0 "${plan[@]}" --set run.suite=migration
grep -q 'migration  *on local (kvm), local-twin (kvm):' out || fail "a pair beside a target that nothing needs"

# Our QEMUs, by the name on their command line.
ours() { pgrep -f "guest=novacore-$installation-" || true; }
# A QEMU of ours waits for a VM that comes.
arriving() { pgrep -f "guest=novacore-$installation-.* -incoming" >/dev/null; }
# The daemons whose process ids stand in their directories.
daemons() {
  local file pid
  for file in "$state"/daemon/libvirtd.pid "$state"/twin/libvirtd.pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    [ -e "/proc/$pid" ] && grep -q libvirtd "/proc/$pid/comm" && echo "$pid"
  done
  true
}
none_left() {
  [ -z "$(ours)" ] || fail "QEMUs are left: $(ours)"
  [ -z "$(daemons)" ] || fail "daemons are left: $(daemons)"
  nothing_left
}

note "there and back"
expect 0 "${run[@]}" --format json --output r.json
installation=$(expect 0 "$novacore" doctor; grep -o 'installation [0-9a-f]*' out | cut -d' ' -f2)
[ -n "$installation" ] || fail "no installation id"
none_left
check r.json '[len(s["targets"]) for s in r["steps"]] == [2]'
check r.json 'r["steps"][0]["counts"]["succeeded"] == 2'
metric() { echo "[m for m in r['steps'][0]['metrics'] if m['name'] == 'migration.$1'][0]"; }
for name in duration downtime.reported stun.observed stun.floor stun.excess moved iterations rate work.lost; do
  check r.json "$(metric $name)['n'] == 2"
done
# The last pass, the stop and the start are all within what was seen from outside.
check r.json "$(metric stun.observed)['min'] > 0 and $(metric stun.observed)['max'] < $(metric duration)['max']"
check r.json "$(metric duration)['goal']['pass'] == 30"
check r.json "$(metric moved)['min'] > 1e6"

note "kill -9 in the middle of a migration"
"${run[@]}" --set migration.bandwidth=1MB/s --set migration.load=100MB/s >out 2>err </dev/null &
parent=$!
for ((tenths = 0; tenths < 1200; tenths++)); do
  arriving && break
  kill -0 "$parent" || { cat err >&2; fail "the run has ended"; }
  sleep 0.1
done
arriving || fail "no migration began"
for which in daemon twin; do
  for name in "not-ours-$which" "novacore-00000000-000000000000-${#which}"; do
    cat >"$name.xml" <<XML
<domain type='qemu'><name>$name</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>
XML
    socket=$(sed -n 's/^unix_sock_dir = "\(.*\)"/\1/p' "$state/$which/libvirtd.conf")/libvirt-sock
    virsh -q -c "qemu+unix:///session?socket=$socket" create "$name.xml" >virsh.log 2>&1 ||
      { cat virsh.log >&2; fail "cannot make $name"; }
    cat "$state/$which/run/libvirt/qemu/run/$name.pid" >>foreign
    echo >>foreign
  done
done
end_foreign() { xargs -r kill -9 <foreign 2>/dev/null || true; }
trap 'status=$?; end_foreign; set +e; (exit $status); leave' EXIT
foreign_alive() {
  for pid in $(cat foreign); do [ -e "/proc/$pid" ] || fail "a VM that is not ours is gone"; done
}
[ "$(wc -w <foreign)" = 4 ] || fail "four VMs that are not ours were to be there"
kill -9 "$parent"
wait "$parent" 2>/dev/null || true
sleep 1
[ -n "$(ours)" ] || fail "nothing to clean: the test proves nothing"
foreign_alive
expect 0 "$novacore" clean
none_left
foreign_alive

note "the next run has both daemons again"
expect 0 "${run[@]}" --set migration.direction=back --format json --output r.json
check r.json 'r["steps"][0]["counts"]["succeeded"] == 1'
none_left
foreign_alive
