#!/bin/bash
# SPDX-License-Identifier: MIT
# A run on real QEMU that is worse than its baseline: it says so, and --fail-on regression makes it exit
# 1; what is acknowledged does not. The baseline is an earlier run of the same, whose figures have been
# divided by 20, so that no host is too quick or too busy for this. test_regression.sh NOVACORE MAKE_RUNS
. "$(dirname "$0")/lib.sh"
run=("$novacore" run --plugin kvm --set hypervisor.kvm.accel=tcg --benchmark density --set density.guest=stub
  --set density.count=8 --quiet --format json --output ran.json)

expect 0 "${run[@]}" --fail-on regression
check ran.json 'all(m["baseline"] is None for m in r["steps"][0]["metrics"])'
python3 - <<'PYTHON'
import json
with open("ran.json") as file:
    run = json.load(file)
run["run"]["id"] = run["run"]["id"][:-1] + ("0" if run["run"]["id"][-1] != "0" else "1")
columns = run["steps"][0]["samples"]["columns"]
for row in run["steps"][0]["samples"]["rows"]:
    if row[columns.index("value")] is not None:
        row[columns.index("value")] /= 20
json.dump(run, open("better.json", "w"))
PYTHON
expect 0 "$novacore" results import better.json --quiet
expect 0 "$novacore" baseline set "$(json better.json 'r["run"]["id"]')"

note "worse than the baseline"
expect 1 "${run[@]}" --fail-on regression
check ran.json 'r["run"]["state"] == "complete" and r["steps"][0]["counts"]["succeeded"] == 8'
deleted='[m for m in r["steps"][0]["metrics"] if m["name"] == "density.control-plane.delete"][0]'
check ran.json "(lambda m: m['verdict'] == 'regressed' and m['baseline']['shift'] > 1)($deleted)"
expect 0 "${run[@]}" --fail-on goal
