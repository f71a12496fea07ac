#!/bin/bash
# SPDX-License-Identifier: MIT
# Where a program waits, and how long; and who waits for a CPU.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ] && [ "$paranoid" -gt 1 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: where threads wait may not be sampled"
  exit 77
fi

note 'three waits of known lengths'
expect 0 "$novacore" record --off-cpu --output a -- "$waiting" 3
says 'wait_seventy'
says 'waits that have begun'
grep -Eq '^off-cpu \(nanoseconds\): [0-9.]+ s in [0-9]+ waits, 0 lost; functions' out || fail "the unit: $(grep ^off-cpu out)"
grep -Eq '^ *[0-9.]+ m?s, [0-9.]+ %  .* wait_seventy ' out || fail "no time of wait_seventy: $(grep wait_seventy out)"
says 'no intervals, and nothing that tells a change from noise'
expect 0 "$novacore" hotspots a/recording.nova --threshold 0 --format json --output spots.json
python3 - <<'PYTHON' || fail 'the waits are not those of the program'
import json
document = json.load(open("spots.json"))
total = {f["name"]: f["total"]["share"] for f in document["functions"]}
print({name: total[name] for name in ("wait_seventy", "wait_twenty", "wait_ten")})
assert document["value"] == {"type": "off-cpu", "unit": "nanoseconds"}, document["value"]
# a busy machine lets sleepers lie in: by its own, each the same
assert total["wait_seventy"] > total["wait_twenty"] > total["wait_ten"] > 0.05, total
assert 0.5 < total["wait_seventy"] < 0.75, total
PYTHON
grep -q '^record_waiting [0-9]*;.*main;wait_seventy;.*nanosleep' a/off-cpu.folded || fail 'no stack of a wait'
expect 0 "$novacore" recordings show a --format json
check out 'r["kind"] == "off-cpu" and r["event"] == "context-switches" and r["samples"] >= 90'

note 'of a difference nothing is called a change, because nothing could tell'
expect 0 "$novacore" hotspots a/recording.nova --diff a/off-cpu.pb.gz --format json
check out 'all(f["changed"] is None and f["p"] is None and f["self"]["interval"] is None for f in r["functions"])'
check out 'r["samples"] == 0 and r["events"]["type"] == "waits" and r["events"]["count"] >= 90'
expect 0 "$novacore" flame --diff a/off-cpu.pb.gz a/recording.nova --output same.svg
says 'what is counted are no samples'

note 'more threads than CPUs wait for one'
"$workload" 60 $(($(nproc) * 2)) &
running=$!
sleep 0.3
expect 0 "$novacore" record --off-cpu --pid $running --duration 3s --output b
kill $running
wait $running || true
says '[waiting for a CPU]'

if [ "$(id -u)" = 0 ] && [ "$paranoid" -ge 2 ] && command -v setpriv >/dev/null; then
  note 'an ordinary user is told what it needs'
  install -m 755 "$novacore" "$waiting" .
  mkdir -p "$NOVACORE_HOME" of-user
  chmod 777 "$NOVACORE_HOME" of-user
  expect 3 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
    ./novacore record --off-cpu --output of-user/a -- ./record_waiting 1
  says 'sysctl kernel.perf_event_paranoid=1'
fi
