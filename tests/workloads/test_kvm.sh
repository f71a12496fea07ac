#!/bin/bash
# SPDX-License-Identifier: MIT
# test_kvm.sh NOVACORE: cpu, memory and storage in real guests and on this host, once each and short;
# where disks and files lie, and that none is left, also after kill -9.
. "$(dirname "$0")/../run/lib.sh"

for program in sysbench stress-ng fio; do
  command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
# Not below /tmp, which may be in memory.
place=$(mktemp -d /var/tmp/novacore-workloads-XXXXXX)
chmod 755 "$place" # as root, QEMU is another user
trap 'status=$?; rm -rf --one-file-system "$place"; set +e; (exit $status); leave' EXIT
run=("$novacore" run --plugin kvm --set hypervisor.kvm.accel=tcg --set run.samples=1
  --set run.warmup=0 --full --format json --output r.json)
nothing_in_place() { [ -z "$(ls -A "$place")" ] || fail "left in the place: $(ls -A "$place")"; }

# measures METRIC…: each has one figure on either side, and it is above 0.
measures() {
  local metric
  for metric; do
    check r.json "sorted((x[2], x[5], x[6] > 0) for s in r['steps'] for x in s['samples']['rows']
      if x[4] == '$metric') == [('native', 'ok', True), ('vm', 'ok', True)]"
  done
}

note 'cpu: the VM and the program here are pinned to the same CPU'
expect 0 "${run[@]}" --benchmark cpu --set cpu.duration=1s --trace cpu.jsonl
measures cpu.rate cpu.latency.p95
cpu=$(grep -o '"vm.cpu.pin=[0-9]*"' cpu.jsonl | sort -u | tr -dc '0-9\n')
[ -n "$cpu" ] || fail 'no vCPU was pinned'
grep -qF "[\"taskset\",\"-c\",\"$cpu\",\"sysbench\"," cpu.jsonl || fail "sysbench was not pinned to CPU $cpu"

note 'memory'
expect 0 "${run[@]}" --benchmark memory --set memory.duration=1s --set memory.stream=false
measures memory.read.seq memory.write.seq memory.read.rand memory.write.rand

note 'storage, where place says; nothing is left there'
storage=(--benchmark storage --set storage.duration=1s --set storage.size=16MiB
  --set "storage.place=$place")
expect 0 "${run[@]}" "${storage[@]}" --trace storage.jsonl
measures storage.read.seq.rate storage.write.rand.iops storage.read.rand.latency.p99
grep -qF "\"place\":\"$place\"" storage.jsonl || fail 'the VM was not told of the place'
nothing_in_place

note 'kill -9 while the disk lies there: clean finds it'
"${run[@]}" "${storage[@]}" --set run.native=false --set storage.duration=60s >out 2>err </dev/null &
parent=$!
for ((tenths = 0; tenths < 600; tenths++)); do
  [ -n "$(ls "$place"/*.qcow2 2>/dev/null)" ] && break
  sleep 0.1
done
[ -n "$(ls -A "$place")" ] || { cat err >&2; fail 'no disk came to lie in the place'; }
kill -9 "$parent"
wait "$parent" 2>/dev/null || true # bash says that it was killed
sleep 0.5
[ -n "$(ls -A "$place")" ] || fail 'nothing to clean: the test proves nothing'
expect 0 "$novacore" clean --plugin kvm
nothing_in_place
nothing_left

note 'a place that is none, or in memory, and a guest without the room'
expect 2 "${run[@]}" "${storage[@]}" --set "storage.place=$place/none"
says 'No such file or directory'
if [ "$(stat -f -c %T /dev/shm)" = tmpfs ]; then
  expect 2 "${run[@]}" "${storage[@]}" --set storage.place=/dev/shm
  says '/dev/shm is in memory (tmpfs)'
fi
expect 4 "${run[@]}" "${storage[@]}" --set run.native=false --set storage.size=2GiB
says '2097152 KiB are needed: choose a smaller size, or a larger disk (vm.NAME.disk)'
expect 4 "${run[@]}" "${storage[@]}" --set run.native=false --set storage.guest_directory=/run
says '/run is in memory (tmpfs), not on a disk'
nothing_in_place

note 'a program that is missing here ends the native side alone'
mkdir bin
for program in /usr/bin/* /usr/sbin/*; do
  [ "${program##*/}" = sysbench ] || ln -sf "$program" bin/
done
PATH=$scratch/bin expect 0 "${run[@]}" --benchmark cpu --set cpu.duration=1s
says 'install the package sysbench'
check r.json '{m["side"] for m in r["steps"][0]["metrics"]} == {"vm"} and r["steps"][0]["comparisons"] == []'
check r.json '"sysbench is not installed" in r["skipped"][0]["why"]'
