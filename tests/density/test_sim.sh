#!/bin/bash
# SPDX-License-Identifier: MIT
# Bursts and demands on the simulator: what is asked for comes, what is injected is found, all of it
# is deleted, and a run with a seed is the same each time.
. "$(dirname "$0")/../run/lib.sh"
sim=("$novacore" run --plugin sim --format json)
median='{m["name"]: m["value"] for s in r["steps"] for m in s["metrics"]}'

note "800 VMs: all come, all go, 99 of 100 calls are judged"
expect 0 "${sim[@]}" --benchmark density --set density.count=800 --set density.per_target=800 \
  --set density.concurrency=100 --set hypervisor.sim.clock=virtual --seed 7 --output a.json
check a.json 'r["run"]["state"] == "complete"'
check a.json 'r["steps"][0]["counts"] == {"attempted": 800, "succeeded": 800, "failed": 0, "timed_out": 0}'
check a.json 'all(m["n"] == 800 for m in r["steps"][0]["metrics"] if m["name"] in ("density.running", "density.first", "density.ready", "density.delete"))'
check a.json '[m["verdict"] for m in r["steps"][0]["metrics"] if m["name"] == "density.api.p99"] == ["pass"]'
check a.json 'all(m["p99"]["value"] for m in r["steps"][0]["metrics"] if m["name"] == "density.ready")'
check a.json 'not any(m["name"] in ("density.rate", "density.burst") for m in r["steps"][0]["metrics"])'
nothing_left

note "the same seed gives the same samples"
expect 0 "${sim[@]}" --benchmark density --set density.count=800 --set density.per_target=800 \
  --set density.concurrency=100 --set hypervisor.sim.clock=virtual --seed 7 --output b.json
[ "$(json a.json '[s["samples"] for s in r["steps"]]')" = "$(json b.json '[s["samples"] for s in r["steps"]]')" ] ||
  fail "two runs with one seed differ"

note "what is injected is found"
expect 0 "${sim[@]}" --benchmark density --set density.count=60 --set density.concurrency=60 \
  --set hypervisor.sim.clock=virtual --set hypervisor.sim.create=constant:100ms \
  --set hypervisor.sim.start=constant:200ms --set hypervisor.sim.first=constant:50ms \
  --set hypervisor.sim.userspace=constant:60ms --set hypervisor.sim.ready=constant:70ms --output c.json
check c.json "abs(($median)['density.running'] - 0.3) < 1e-6"
check c.json "abs(($median)['density.first'] - 0.35) < 1e-6"
check c.json "abs(($median)['density.ready'] - 0.48) < 1e-6"

note "failures are counted, and the rest of the burst goes on"
expect 0 "${sim[@]}" --benchmark density --set density.count=200 --set density.concurrency=50 \
  --set hypervisor.sim.clock=virtual --set hypervisor.sim.fail=start:0.1,ready:0.1 --seed 3 --output d.json
check d.json 'r["steps"][0]["counts"]["attempted"] == 200'
check d.json '10 < r["steps"][0]["counts"]["failed"] < 80'
check d.json 'all(m["counts"]["attempted"] == 200 for m in r["steps"][0]["metrics"] if m["name"] in ("density.running", "density.ready"))'
nothing_left

note "each count is a step, bursts keep their distance, and nothing is warmed up"
expect 0 "${sim[@]}" --benchmark density --set density.count=7,9 --set density.cooldown=1500ms --output e.json
check e.json '[s["params"]["count"] for s in r["steps"]] == [7, 9]'
check e.json 'all(x["state"] == "done" for s in r["steps"] for x in s["replicates"])'
check e.json 'min(x[7] for x in r["steps"][1]["samples"]["rows"]) - max(x[7] for x in r["steps"][0]["samples"]["rows"]) > 1.5e9'
expect 0 "${sim[@]}" --benchmark density --set density.count=7 --set density.cooldown=0s --set run.warmup=1 --output f.json
check f.json '[x["state"] for s in r["steps"] for x in s["replicates"]].count("warmup") == 1'

note "an open loop: a control plane that is slower than the arrivals shows it"
expect 0 "${sim[@]}" --benchmark density --set density.count=12 --set density.rate=20/s --set density.concurrency=1 \
  --set run.samples=12 --set hypervisor.sim.create=constant:100ms --set hypervisor.sim.start=constant:100ms --output g.json
# each VM takes 0.2 s and more, and one comes every 0.05 s: the last waits for 11 x 0.15 s at least
check g.json 'max(x[6] for x in r["steps"][0]["samples"]["rows"] if x[4] == "density.running") > 11 * 0.15'
check g.json 'all(x[9] > 0 for x in r["steps"][0]["samples"]["rows"] if x[4] == "density.running")'

note "churn"
expect 0 "${sim[@]}" --benchmark density --set density.count=10 --set density.churn=2s --output h.json
check h.json "($median)['density.churn.rate'] > 1"
check h.json "($median)['density.churn.up'] > 0.1"
nothing_left

note "several targets in one step"
expect 0 "$novacore" run --target sim=sim:a --target sim=sim:b --target sim=sim:c --benchmark density \
  --set density.count=30 --set hypervisor.sim.clock=virtual --format json --output i.json
check i.json 'len(r["steps"]) == 1 and r["steps"][0]["targets"] == [0, 1, 2]'
check i.json 'r["steps"][0]["counts"]["succeeded"] == 30'
# per_target is per target: 30 on three are 10 each
expect 0 "$novacore" run --target sim=sim:a --target sim=sim:b --target sim=sim:c --benchmark density \
  --set density.count=30 --set density.per_target=10 --set hypervisor.sim.clock=virtual
expect 5 "$novacore" run --target sim=sim:a --target sim=sim:b --target sim=sim:c --benchmark density \
  --set density.count=31 --set density.per_target=10 --set hypervisor.sim.clock=virtual
says '31 VMs on 3 targets are 11 on each'

note "scaling: a step for each level, from the demand on"
expect 0 "${sim[@]}" --benchmark scaling --set scaling.levels=1,5 --set scaling.base=3 --set run.samples=6 --output j.json
check j.json '[s["params"]["levels"] for s in r["steps"]] == [1, 5]'
check j.json '[s["counts"]["attempted"] for s in r["steps"]] == [6, 10]'
check j.json 'all(m["max"] == 0 for s in r["steps"] for m in s["metrics"] if m["name"] in ("scaling.overshoot", "scaling.replaced"))'
expect 0 "${sim[@]}" --benchmark scaling --set scaling.levels=20 --set scaling.retries=5 \
  --set hypervisor.sim.fail=start:0.3 --seed 5 --output k.json
check k.json "($median)['scaling.replaced'] >= 1"
check k.json '[m["n"] for s in r["steps"] for m in s["metrics"] if m["name"] == "scaling.ready"] == [20]'
nothing_left
