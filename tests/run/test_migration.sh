#!/bin/bash
# SPDX-License-Identifier: MIT
# Migration on the simulator: two targets in a step, both directions, goals by memory size, failures
# that are counted and leave nothing, and what is refused with its reason.
. "$(dirname "$0")/lib.sh"

run=("$novacore" run --plugin sim --benchmark migration --pair local --set run.warmup=0
  --set migration.window=50ms --format json --output r.json)
metric() { echo "[m for m in r['steps'][$2]['metrics'] if m['name'] == 'migration.$1'][0]"; }

note "there and back, by memory size"
expect 0 "${run[@]}" --set run.samples=3 --set migration.memory=256MiB,1GiB,2GiB,16GiB,32GiB
check r.json '[s["targets"] for s in r["steps"]] == [[0, 1]] * 5'
check r.json 'all(s["counts"]["succeeded"] == 6 for s in r["steps"])'
check r.json '[m["goal"] and m["goal"]["pass"] for s in r["steps"] for m in s["metrics"] if m["name"] == "migration.duration"] == [30, 30, 60, 180, None]'
check r.json "$(metric rate 2)['goal']['pass'] == 8e7"
check r.json "$(metric duration 0)['verdict'] == 'pass'"
# The simulated load goes on undisturbed: nothing is lost, but for what the clock of a program is off.
check r.json "all(abs($(metric work.lost 0)['value']) < 0.5 for _ in [0])"
# 200 ms is what was injected (median)
check r.json "0.1 < $(metric duration 0)['value'] < 0.4"
columns='{c: i for i, c in enumerate(r["steps"][0]["samples"]["columns"])}'
check r.json "sorted({row[($columns)['seq']] for row in r['steps'][0]['samples']['rows']}) == [0, 1]"
nothing_left

note "goals of one's own"
expect 0 "${run[@]}" --set run.samples=1 --set goal.migration.duration=1h
check r.json "$(metric duration 0)['goal']['pass'] == 3600"
cat >own.conf <<'CONF'
goals = ( { metric = "migration.duration"; upto = "memory=512MiB"; pass = "7s"; },
          { metric = "migration.duration"; plugin = "sim"; pass = "9s"; } );
CONF
expect 0 "${run[@]}" --set run.samples=1 --config own.conf --set migration.memory=256MiB,2GiB
check r.json "[$(metric duration 0)['goal']['pass'], $(metric duration 1)['goal']['pass']] == [9, 9]"
expect 0 "$novacore" config show goal.migration --config own.conf
says "goal.migration.duration (memory=512MiB)"

note "failures are counted, and the VM stays"
expect 4 "${run[@]}" --set run.samples=2 --set hypervisor.sim.fail=migrate:1
check r.json 'r["steps"][0]["counts"] == {"attempted": 2, "succeeded": 0, "failed": 2, "timed_out": 0}'
check r.json "any('runs on where it was' in str(row) for row in r['steps'][0]['samples']['rows'])"
nothing_left
expect 4 "${run[@]}" --set run.samples=1 --set hypervisor.sim.hang=migrate:1 --set migration.timeout=300ms
check r.json 'r["steps"][0]["counts"]["timed_out"] == 1'
nothing_left

note "what cannot be is skipped or refused with the reason"
expect 3 "${run[@]}" --set run.samples=1 --set migration.mode=post-copy
says "cannot migrate by post-copy"
check r.json 'r["steps"][0]["state"] == "skipped"'
expect 2 "$novacore" run --plugin sim --benchmark migration
says "--pair local"
expect 2 "${run[@]}" --set migration.memory=1GiB --set migration.working_set=1GiB
says "1024 MiB / 2 = 512 MiB"
for wrong in memory=1 memory=64MiB memory=2TiB load=fast working_set=1KiB mode=teleport channels=1 \
  direction=up repeat=0 bandwidth=1 downtime=0s timeout=1 beat=1us window=1ms conversion=perhaps; do
  expect 2 "${run[@]}" --set "migration.$wrong"
  says "migration.${wrong%%=*}"
done
