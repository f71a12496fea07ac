#!/bin/bash
# SPDX-License-Identifier: MIT
# A whole run on the simulator: the document is complete, and nothing is left.
. "$(dirname "$0")/lib.sh"

expect 0 "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --seed 7 \
  --set run.samples=12 --format json --output a.json
check a.json 'r["run"]["state"] == "complete" and r["run"]["seed"] == 7'
check a.json 'all(s["state"] == "done" for s in r["steps"]) and len(r["steps"]) >= 1'
check a.json 'all(s["counts"]["attempted"] >= 12 for s in r["steps"])'
check a.json 'r["targets"][0]["simulated"] is True'
check a.json 'any(m["name"] == "lifecycle.start.running" and m["n"] >= 12 for m in r["steps"][0]["metrics"])'
nothing_left

note "the same seed gives the same samples"
expect 0 "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --seed 7 \
  --set run.samples=12 --format json --output b.json
[ "$(json a.json '[s["samples"] for s in r["steps"]]')" = "$(json b.json '[s["samples"] for s in r["steps"]]')" ] ||
  fail "two runs with one seed differ"
expect 0 "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --seed 8 \
  --set run.samples=12 --format json --output c.json
[ "$(json a.json '[s["samples"] for s in r["steps"]]')" != "$(json c.json '[s["samples"] for s in r["steps"]]')" ] ||
  fail "another seed gives the same samples"

note "a dry run does nothing"
expect 0 "$novacore" --profile dev --plugin sim --dry-run
says "nothing has been done"
expect 0 "$novacore" results list --format json
[ "$(json out 'len(r["runs"] if isinstance(r, dict) else r)')" = 3 ] || fail "the dry run was stored"
