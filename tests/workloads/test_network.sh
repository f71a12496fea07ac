#!/bin/bash
# SPDX-License-Identifier: MIT
# test_network.sh NOVACORE: network and overhead in real guests, once each and short; what is refused;
# that nothing of them is left, also after kill -9.
. "$(dirname "$0")/../run/lib.sh"

command -v iperf3 >/dev/null || { echo 'skipped: iperf3 is not installed'; exit 77; }
run=("$novacore" run --plugin kvm --set hypervisor.kvm.accel=tcg --set run.warmup=0 --full
  --format json --output r.json)
network=(--benchmark network --set run.samples=1 --set network.duration=1s --set network.probes=50
  --set network.udp_rate=1Mbit/s)

note 'network: two VMs, and this host where it may make networks'
expect 0 "${run[@]}" "${network[@]}"
for metric in tcp.send.rate tcp.receive.rate latency.p50 latency.maximum udp.send.jitter; do
  check r.json "[(x[5], x[6] > 0) for s in r['steps'] for x in s['samples']['rows']
    if x[4] == 'network.$metric' and x[2] == 'vm'] == [('ok', True)]"
done
check r.json "[c['verdict'] for s in r['steps'] for c in s['comparisons']
  if c['name'] == 'network.tcp.send.rate.overhead'] != []"
nothing_left

note 'what is refused'
expect 2 "${run[@]}" "${network[@]}" --set network.native=wire
expect 2 "${run[@]}" "${network[@]}" --set network.probes=100000 --set network.duration=1h
says 'more than 1000000 datagrams'
expect 2 "${run[@]}" --benchmark overhead --set overhead.vms=1
expect 4 "${run[@]}" "${network[@]}" --set run.native=false --set network.congestion=none
says 'congestion control algorithm not supported'
nothing_left

note 'kill -9 in the middle: clean finds both VMs'
"${run[@]}" "${network[@]}" --set run.native=false --set network.duration=60s >out 2>err </dev/null &
parent=$!
for ((tenths = 0; tenths < 900; tenths++)); do
  [ "$(pgrep -fc "^[^ ]*qemu-system-[^ ]* .*$scratch/")" = 2 ] && break
  sleep 0.1
done
[ "$(pgrep -fc "^[^ ]*qemu-system-[^ ]* .*$scratch/")" = 2 ] || { cat err >&2; fail 'no two VMs came'; }
kill -9 "$parent"
wait "$parent" 2>/dev/null || true # bash says that it was killed
sleep 0.5
expect 0 "$novacore" clean --plugin kvm
nothing_left
[ "$(pgrep -fc "^[^ ]*qemu-system-[^ ]* .*$scratch/")" = 0 ] || fail 'a QEMU is left'

note 'overhead: of each of two VMs'
expect 0 "${run[@]}" --benchmark overhead --set run.samples=2 --set overhead.vms=2 \
  --set overhead.window=500ms --set overhead.settle=500ms
for metric in memory.resident memory.proportional memory.beyond disk; do
  check r.json "[(x[5], x[6] > 0) for s in r['steps'] for x in s['samples']['rows']
    if x[4] == 'overhead.$metric'] == [('ok', True)]"
done
for metric in cpu.idle cpu.loaded; do
  check r.json "[x[5] for s in r['steps'] for x in s['samples']['rows'] if x[4] == 'overhead.$metric'] == ['ok']"
done
# a guest's memory is part of what is resident, and no part of what is beyond it
check r.json "(lambda m: m['memory.beyond'] < m['memory.proportional'] <= m['memory.resident'] * 1.01)(
  {x[4][9:]: x[6] for s in r['steps'] for x in s['samples']['rows']})"
nothing_left
