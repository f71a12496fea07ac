#!/bin/bash
# SPDX-License-Identifier: MIT
# Who waits for locks, and how long: those of programs, and the kernel's own.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ] && [ "$paranoid" -gt 1 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: where threads wait may not be sampled"
  exit 77
fi
contended=$(dirname "$workload")/record_contended

# split FILE: of the waits for the two locks of the program, 70 and 30 parts
split() {
  expect 0 "$novacore" hotspots "$1" --value lock --threshold 0 --format json --output spots.json
  python3 - <<'PYTHON' || fail "the waits in $1 are not those of the program"
import json
document = json.load(open("spots.json"))
total = {f["name"]: f["total"]["value"] for f in document["functions"]}
both = total["lock_seventy"] + total["lock_thirty"]
print(document["value"], total["lock_seventy"] / both, total["lock_thirty"] / 1e6, "ms")
assert document["value"] == {"type": "lock", "unit": "nanoseconds"}, document["value"]
# a busy machine lets those who hold them lie in: both alike
assert 0.55 < total["lock_seventy"] / both < 0.8, total
assert "sleep_ms" not in total and "nanosleep" not in total, "who sleeps waits for no lock"
assert all(f["self"]["interval"] is None for f in document["functions"]), "no samples of a CPU"
PYTHON
}

note 'two locks of a program, all waits beside'
expect 0 "$novacore" record --lock --off-cpu --output a -- "$contended" 2
says 'waits for locks'
says 'lock_seventy'
split a/recording.nova
[ -s a/lock.html ] && [ -s a/off-cpu.pb.gz ] || fail "files are missing: $(ls a)"
[ ! -e a/cpu.html ] || fail 'there is a file of what was not asked for'
expect 0 "$novacore" recordings show a --format json
check out 'r["kinds"] == ["off-cpu", "lock"] == r["lanes"] and r["kind"] == "off-cpu"'
check out 'r["lock_by"]["futexes"] == "context-switches"'
check out 'r["lanes_counted"]["lock"]["samples"] >= 30'
if [ "$(json out 'r["lock_by"]["kernel"]')" != tracepoints ]; then
  note 'what is missing is named, with what to do'
  check out '"spinning" in r["missing"][0]["what"] and len(r["missing"][0]["why"]) > 10'
  expect 0 "$novacore" recordings show a
  says 'missing'
fi
expect 0 "$novacore" flame a/recording.nova --value lock --output lock.svg
grep -q lock_thirty lock.svg || fail 'the drawing does not name lock_thirty'

note 'of a process that runs, with what it does on CPUs beside'
"$contended" 60 &
running=$!
sleep 0.3
expect 0 "$novacore" record --lock --cpu --off-cpu --memory --pid $running --duration 3s --output b
kill $running
wait $running || true
split b/recording.nova
grep -q nanosleep b/off-cpu.folded || fail 'off-CPU lacks the sleeps'

note 'a lock of the kernel: several write one file'
if [ "$(nproc)" -gt 1 ]; then
  expect 0 "$novacore" record --lock --output c -- "$contended" 1 "$PWD/file"
  grep -Eq '^record_contended .*;.*(down_write|rwsem).* [0-9]+$' c/lock.folded || grep -q 'inode_lock\|write_iter' c/lock.folded ||
    fail "nobody waits for the file: $(head -3 c/lock.folded)"
fi

[ "$(id -u)" = 0 ] || exit 0
note 'by tracepoints, in a mount namespace with tracefs'
if unshare -m sh -c 'mount -t tracefs nodev /sys/kernel/tracing && test -e /sys/kernel/tracing/events/lock/contention_begin/id' 2>/dev/null; then
  expect 0 unshare -m sh -c "mount -t tracefs nodev /sys/kernel/tracing && exec \"\$0\" \"\$@\"" \
    "$novacore" record --lock --output d -- "$contended" 1 "$PWD/file"
  split d/recording.nova
  expect 0 "$novacore" recordings show d --format json
  check out 'r["lock_by"]["kernel"] == "tracepoints" and "missing" not in r'
  check out 'any(s["event"] == "lock:contention_begin" and s["samples"] > 0 for s in r["samplers"])'
fi

note 'where the kernel hides its functions it says what to change'
if [ "$paranoid" -ge 2 ] && command -v setpriv >/dev/null; then
  install -m 755 "$novacore" "$contended" .
  mkdir -p "$NOVACORE_HOME" of-user
  chmod 777 "$NOVACORE_HOME" of-user
  expect 3 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
    ./novacore record --lock --output of-user/a -- ./record_contended 1
  says 'sysctl kernel.perf_event_paranoid=1'
fi
