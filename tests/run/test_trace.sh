#!/bin/bash
# SPDX-License-Identifier: MIT
# --trace: every line is JSON, calls begin and end in pairs, results and events are there by name,
# nobody else can read it, and a file that cannot take it costs the run nothing. (What is secret, and
# plugins that crash or lie, are in tests/hostile.)
here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
trace() { python3 "$here/trace.py" "$@" || fail "not so in $1: $2"; }

run=("$novacore" --plugin sim --profile dev --set hypervisor.sim.clock=virtual --set run.samples=4
  --set run.warmup=0 --set lifecycle.concurrency=1,2)

note "a whole run"
(umask 0 && expect 0 "${run[@]}" --format json --trace calls.jsonl)
[ "$(stat -c %a calls.jsonl)" = 600 ] || fail "the trace has mode $(stat -c %a calls.jsonl)"
trace calls.jsonl 'sum(l["is"] == "worker" for l in lines) == 2'
trace calls.jsonl '[l["step"] for l in lines if l["is"] == "worker"] == [0, 1]'
trace calls.jsonl '{"connect", "describe", "vm_create", "vm_power", "vm_delete", "snapshot"} <= set(names("op", "end"))'
trace calls.jsonl '{"fan_out", "vm_create", "vm_power", "wait", "vm_delete"} <= set(names("lab", "end"))'
trace calls.jsonl '{"result", "sample", "attempt"} <= set(names("lab", "once"))'
trace calls.jsonl '{"load", "create", "replicate", "destroy"} <= set(names("plugin", "end"))'
trace calls.jsonl 'sum(l["is"] == "once" and l["name"] == "sample" for l in lines) > 8'
trace calls.jsonl 'all(l["status"] == "ok" and not l["timed_out"] and not l["cancelled"] for l in lines if l["is"] == "end" and l["kind"] == "op")'
trace calls.jsonl 'all(l["args"]["shape"]["memory_bytes"] > 0 and l["vm"]["name"].startswith("novacore-") for l in lines if l["is"] == "begin" and l["kind"] == "op" and l["name"] == "vm_create")'
trace calls.jsonl 'all(any(r["field"] == "id" and r["text"] for r in l["results"]) for l in lines if l["is"] == "end" and l["kind"] == "op" and l["name"] == "vm_create")'
trace calls.jsonl '{(l["event"], l["source"]) for l in lines if l["is"] == "event"} >= {("running", "model"), ("ready", "model")}'
# A driver's op stands within the benchmark's call, which stands within its replicate.
trace calls.jsonl 'len({l["thread"] for l in lines}) > 3 and all("within" in l for l in lines if l["is"] == "begin" and l["kind"] == "lab")'
check out 'r["run"]["state"] == "complete"'
trace calls.jsonl 'lines[0]["run"] in open("out").read()'

note "the same again is added to it"
before=$(stat -c %s calls.jsonl)
expect 0 "${run[@]}" --trace calls.jsonl
[ "$(stat -c %s calls.jsonl)" -gt "$before" ] || fail "nothing was added"
trace calls.jsonl 'sum(l["is"] == "trace" for l in lines) == 2'

note "off, it is not there; a result is the same but for the wall clock"
expect 0 "${run[@]}" --seed 7 --format csv
cut -d, -f6-13 out >plain
expect 0 "${run[@]}" --seed 7 --format csv --trace with.jsonl
cut -d, -f6-13 out | cmp - plain || fail "a trace changes what the simulator measures"

note "a file that others may read, a directory, a full disk"
: >open.jsonl
chmod 644 open.jsonl
expect 5 "${run[@]}" --trace open.jsonl
says 'chmod 600'
[ ! -s open.jsonl ] || fail "a trace was added to a file that others may read"
expect 2 "${run[@]}" --trace "$scratch"
expect 2 "${run[@]}" --trace "$scratch/nowhere/t.jsonl"
expect 0 "$novacore" results list --format json
runs=$(json out 'len(r["runs"])')
[ "$runs" = 4 ] || fail "there are $runs runs: a trace that cannot be opened made one"
expect 0 "${run[@]}" --format json --trace /dev/full
[ "$(grep -c 'cannot be written' err)" -le 3 ] || fail "it is said more than once a process"
says 'cannot be written'
check out 'r["run"]["state"] == "complete"'

note "a line that was cut off does not spoil the next"
printf '{"is":"begin","n' >calls.jsonl
chmod 600 calls.jsonl
expect 0 "${run[@]}" --trace calls.jsonl
tail -n +2 calls.jsonl >rest.jsonl
trace rest.jsonl 'len(lines) > 10'

note "another program reads it while it is written"
mkfifo pipe
chmod 600 pipe
expect 3 "${run[@]}" --trace pipe
says 'nobody reads that pipe'
timeout 60 cat pipe >read.jsonl &
reader=$!
sleep 0.5
expect 0 "${run[@]}" --trace pipe
wait "$reader" || fail "the reader did not see the end"
trace read.jsonl 'len(lines) > 10'

note "kill -9 of a worker loses at most the line that it was writing"
"$novacore" --plugin sim --profile dev --set hypervisor.sim.clock=real --set run.samples=200 --full \
  --trace killed.jsonl >out 2>err </dev/null &
parent=$!
for ((tenths = 0; tenths < 100; tenths++)); do
  [ "$(grep -c vm_power killed.jsonl 2>/dev/null || true)" -gt 4 ] 2>/dev/null && break
  sleep 0.1
done
kill -9 "$(pgrep -P "$parent")"
wait "$parent" || true
trace killed.jsonl 'sum(l["is"] == "begin" for l in lines) > 10' 6
expect 0 "$novacore" results export last --output all.json
stored=$(json all.json 'sum(len(s["samples"]["rows"]) for s in r["steps"])')
# A line follows its sample, which the parent stores though the worker is dead: none is lost.
trace killed.jsonl "0 <= $stored - sum(l['is'] == 'once' and l['name'] == 'sample' for l in lines) <= 1" 6

note "every number of the SDK has its word"
types=$here/../../sdk/include/novacore
for name in $(grep -ohE '#define NOVA_(FIELD|EVENT|SOURCE|POWER|QUERY|SNAPSHOT|NET|BOOT|SAMPLE|SIDE)_[A-Z0-9_]+' "$types"/*.h | sed -E 's/#define NOVA_[A-Z]+_//'); do
  grep -qE "N\($name\)" "$here/../../core/run/trace_names.c" || fail "NOVA_…_$name has no word in a trace"
done
