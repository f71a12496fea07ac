#!/bin/bash
# SPDX-License-Identifier: MIT
# Virtual clock: what is injected stands in the result exactly, and the same each time.
. "$(dirname "$0")/../run/lib.sh"

run() { # FILE OPTION…
  local file=$1
  shift
  expect 0 "$novacore" --profile dev --plugin sim --benchmark lifecycle --max-vms 100 \
    --set hypervisor.sim.clock=virtual --set run.warmup=0 --format json --output "$file" --quiet "$@"
}
rows='[s["samples"] for s in r["steps"]]'

note "constants come out as they went in, each from its own end points"
constants=()
for pair in create:10 start:20 first:1 userspace:2 ready:3 snapshot:40 restore:50 back:5 stop:60 delete:7; do
  constants+=(--set "hypervisor.sim.${pair%:*}=constant:${pair#*:}ms")
done
run a.json --set run.samples=8 "${constants[@]}"
check a.json '{m["name"][10:]: round(m["value"] * 1000, 6) for m in r["steps"][0]["metrics"]} == {
  "create.api": 10, "start.api": 20, "start.running": 20, "start.first": 21, "start.userspace": 23,
  "start.ready": 26, "snapshot.done": 40, "restore.done": 50, "restore.ready": 55, "stop.gone": 60,
  "delete.api": 7, "total": 10 + 26 + 40 + 55 + 60 + 7}'
check a.json 'all(m["n"] == 8 for m in r["steps"][0]["metrics"])'
check a.json 'r["targets"][0]["simulated"] is True'

note "two runs with a seed are the same, also when VMs live together, fail, hang and depend on each other"
hard=(--set run.samples=40 --set lifecycle.concurrency=1,5,20 --set hypervisor.sim.rho=0.5
  --set hypervisor.sim.fail=start:0.1,ready:0.1 --set hypervisor.sim.hang=stop:0.1,create:0.1)
run b.json --seed 7 "${hard[@]}"
run c.json --seed 7 "${hard[@]}"
[ "$(json b.json "$rows")" = "$(json c.json "$rows")" ] || fail "two runs with one seed differ"

note "every attempt is counted once, as what it came to"
check b.json 'len(r["steps"]) == 3'
check b.json 'all(s["counts"]["attempted"] == 40 for s in r["steps"])'
check b.json 'all(s["counts"]["attempted"] == sum(s["counts"][k] for k in ("succeeded", "failed", "timed_out"))
  and s["counts"]["failed"] > 0 and s["counts"]["timed_out"] > 0 for s in r["steps"])'
# Each stage is attempted by those VMs that came through the one before it.
check b.json 'all(m["start.api"]["attempted"] == m["create.api"]["succeeded"]
  and m["start.running"]["attempted"] == m["start.api"]["attempted"]
  and m["start.ready"]["attempted"] == m["start.running"]["succeeded"]
  and m["snapshot.done"]["attempted"] == m["start.ready"]["succeeded"]
  and m["stop.gone"]["attempted"] == m["restore.ready"]["succeeded"]
  and m["delete.api"]["attempted"] == m["stop.gone"]["succeeded"]
  and m["total"]["succeeded"] == s["counts"]["succeeded"]
  for s in r["steps"] for m in [{m["name"][10:]: m["counts"] for m in s["metrics"]}])'
# No failure has a value.
check b.json 'all((row[5] == "ok") == (row[6] is not None) for s in r["steps"] for row in s["samples"]["rows"])'

note "a median is where the distribution has it"
few=(--seed 11 --set run.samples=150 --set lifecycle.concurrency=50 --set lifecycle.ready=false
  --set lifecycle.snapshot=false --set hypervisor.sim.create=lognormal:20ms:0.2
  --set hypervisor.sim.delete=normal:30ms:3ms)
run d.json "${few[@]}"
# 150 samples: the median's standard error is 2.05 % and 1.02 %; five of them either way.
check d.json 'all(abs({m["name"]: m["value"] for m in r["steps"][0]["metrics"]}[n] / v - 1) < e
  for n, v, e in (("lifecycle.create.api", 0.02, 0.1), ("lifecycle.delete.api", 0.03, 0.05)))'

note "a regression begins where it was put"
run e.json "${few[@]}" --set hypervisor.sim.regression_vm=70 --set hypervisor.sim.regression_factor=1.5
python3 - <<'END' || fail "the regression is not where it was put"
import json
d, e = ({row[3]: row[6] for row in json.load(open(f))["steps"][0]["samples"]["rows"]
         if row[4] == "lifecycle.create.api"} for f in ("d.json", "e.json"))
ratios = [e[vm] / d[vm] for vm in sorted(d)]
assert len(ratios) == 150
assert all(abs(ratio - 1) < 1e-6 for ratio in ratios[:70]), ratios[:70]
assert all(abs(ratio - 1.5) < 1e-6 for ratio in ratios[70:]), ratios[70:]
END
nothing_left
