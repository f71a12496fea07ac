#!/bin/bash
# SPDX-License-Identifier: MIT
# Commands and processes are recorded, and everything that is written names the right functions.
. "$(dirname "$0")/lib.sh"

note 'a command, in every form that is written'
expect 0 "$novacore" record --output a --freq 499 -- "$workload" 3
says 'overhead'
says 'seventy'
for file in recording.nova cpu.pb.gz; do shares a/$file; done
for file in cpu.html cpu.svg; do grep -q seventy a/$file || fail "the flame graph $file does not name seventy"; done
expect 0 "$novacore" flame a/recording.nova --output a.svg
grep -q seventy a.svg || fail 'the drawing of the recording does not name seventy'
grep -q '^record_workload .*;main;work;seventy [0-9]*$' a/cpu.folded ||
  fail "the folded stacks do not call seventy from work from main: $(head -3 a/cpu.folded)"

note 'what it says of itself'
expect 0 "$novacore" recordings show a --format json
check out 'r["schema"] == "novacore.recording/1" and r["complete"] and r["torn_bytes"] == 0'
check out 'r["samples"] > 100 and r["lost"] == 0 and r["broken"] == 0 and r["what"] == "command"'
check out 'r["event"] in ("cycles", "cpu-clock") and (r["event"] == "cycles") == (r["event_why"] is None)'
check out '0 < r["overhead"]["host"] < 1 and r["overhead"]["sample_ns"] > 0'
check out 'r["memory_bytes"] < 64 << 20 and r["command_status"] == 0'
[ "$(stat -c %a a/recording.nova)" = 600 ] || fail 'others may read the recording'

note 'a process that runs already, with its threads'
"$workload" 60 2 &
running=$!
sleep 0.3
expect 0 "$novacore" record --pid $running --duration 3s --output b
kill $running
wait $running || true
shares b/recording.nova
[ "$(wc -l <b/cpu.folded)" -ge 3 ] && ! grep -qv "^record_workload $running;" b/cpu.folded ||
  fail "not one process: $(head -3 b/cpu.folded)"
expect 0 "$novacore" recordings show b --format json
check out 'r["what"] == "process"'

note 'inlined functions and their names'
expect 0 "$novacore" record --output c --freq 499 -- "$inlined" 2
grep -q ';outer::Machine::turn(unsigned long volatile&);deep<100000>_\[i\] [0-9]*$' c/cpu.folded ||
  fail "nothing is inlined: $(head -3 c/cpu.folded)"

note 'a command that fails, one that is too short, one that is not there'
expect 4 "$novacore" record --output d -- "$workload" 1 0 7
says 'status 7'
shares d/recording.nova
expect 2 "$novacore" record --output e -- ./nowhere
says 'cannot start ./nowhere'
[ ! -e e ] || fail 'a recording of nothing is there'
expect 2 "$novacore" record --output a -- true
says 'has a recording already'

note 'the duration ends a command'
expect 0 "$novacore" record --output f --duration 3s -- "$workload" 100
shares f/recording.nova
[ -z "$(pgrep -f "^$workload 100")" ] || fail 'the command still runs'

note 'the governor'
expect 0 "$novacore" record --output g --freq 20000 --overhead 0.5% -- "$workload" 3
says 'the frequency was lowered'
expect 0 "$novacore" recordings show g --format json
check out 'r["mean_frequency"] < 20000 and r["overhead"]["sampled"] <= 0.0051'

note 'what it refuses'
refused() { expect 2 "${@:2}"; says "$1"; }
refused 'one of these' "$novacore" record
refused 'one of these only' "$novacore" record --all --pid 1
refused 'not "x"' "$novacore" record --pid x
refused '1 to 20000' "$novacore" record --all --freq 0
refused '--duration' "$novacore" record --all --duration 5
refused '--overhead' "$novacore" record --all --overhead 0
refused 'did you mean' "$novacore" record --durration 1s
expect 2 "$novacore" record --pid 4194304 --output h
says 'there is no process'
if [ "$(id -u)" = 0 ]; then
  expect 2 "$novacore" record --cgroup /tmp --output h
  says '/tmp: this is no cgroup'
fi
expect 2 "$novacore" record --vm nobody-has-this --output h
[ ! -e h ] || fail 'a refused recording left something'

note 'those that are kept'
expect 0 "$novacore" recordings list
says 'There is no recording yet'
expect 0 "$novacore" record -- "$workload" 1
expect 0 "$novacore" recordings list --format json
check out 'len(r["recordings"]) == 1 and r["recordings"][0]["about"]["samples"] > 10'
id=$(json out 'r["recordings"][0]["id"]')
expect 0 "$novacore" recordings show "$id"
says 'seventy'
expect 0 "$novacore" hotspots "$id" --diff a
says 'seventy'
expect 0 "$novacore" flame a --output of-directory.svg
grep -q seventy of-directory.svg || fail 'the drawing of a directory does not name seventy'
refused 'cannot read e/recording.nova' sh -c "mkdir e; exec '$novacore' flame e"
mkdir -p "$NOVACORE_HOME/state/recordings/of-mine"
refused 'is no recording' "$novacore" recordings delete of-mine
refused 'is no recording' "$novacore" recordings delete ..
refused 'there is no recording' "$novacore" recordings delete 20000101-000000-0000
expect 0 "$novacore" recordings delete --older 1h
says '0 recordings deleted'
expect 0 "$novacore" recordings delete "$id"
[ -d "$NOVACORE_HOME/state/recordings/of-mine" ] || fail 'something else was deleted'
expect 0 "$novacore" recordings list
says 'There is no recording yet'

note 'one after another, and what is too old is deleted'
expect 0 "$novacore" record -- "$workload" 1 # not continuous: stays
old=$NOVACORE_HOME/state/recordings/20000101-000000-0000
mkdir "$old"
touch -d 2000-01-01 "$old/continuous" "$old/recording.nova"
"$workload" 100 &
running=$!
sleep 0.3
: >lines
"$novacore" record --continuous --pid $running --duration 1s >lines 2>err &
recorder=$!
for ((i = 0; i < 300; i++)); do
  [ "$(wc -l <lines)" -ge 3 ] && break
  sleep 0.1
done
kill -INT $recorder
wait $recorder || fail "it ended with $?: $(cat err)"
kill $running
wait $running || true
[ ! -e "$old" ] || fail 'an old recording is still there'
expect 0 "$novacore" recordings list --format json
check out 'len(r["recordings"]) >= 4 and all(x["about"]["complete"] for x in r["recordings"])'
check out 'sum(x["about"]["samples"] for x in r["recordings"]) > 100'
check out 'sum(x["about"]["what"] == "command" for x in r["recordings"]) == 1'
shares "$(json out 'max(r["recordings"], key=lambda x: x["about"]["samples"])["directory"]')/recording.nova"
