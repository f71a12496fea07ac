#!/bin/bash
# SPDX-License-Identifier: MIT
# plan-samples with given figures, with those of a run, and with everything that can be wrong.
. "$(dirname "$0")/../run/lib.sh"
plan=("$novacore" plan-samples)
sim=(--plugin sim --benchmark lifecycle --set hypervisor.sim.clock=virtual --quiet)

note 'figures alone need no store'
expect 0 "${plan[@]}" --effect 3% --cv 6%
says 'VMs a side  92'
says 'VMs in all  184'
says 'time        not known; say --per-vm 15s'
says 'an interval of the median: 6; for a bound of p95: 59, of p99: 299 (at 95%)'
[ ! -e "$NOVACORE_HOME" ] || fail 'something was made'
expect 0 "${plan[@]}" --effect 0.03 --cv 0.06 --per-vm 15s --concurrency 4
says 'VMs a side  92'
says '11.5 min (4 at once, 15.0 s each, as given)'
expect 0 "${plan[@]}" --effect 3% --cv 6% --paired --rho 0.5 --format json
check out 'r["schema"] == "novacore.plan-samples/1" and r["paired"] and r["rho"] == 0.5'
check out 'r["vms_a_side"] == 47 and r["vms"] == 94 and r["time_s"] is None and r["earlier"] is None'
check out 'r["least"] == {"median_interval": 6, "p95_bound": 59, "p99_bound": 299}'
expect 0 "${plan[@]}" --effect 3% --cv 6% --alpha 1% --power 99% --format json
check out '190 < r["vms_a_side"] < 240 and r["rho"] is None'

note 'without a run there is nothing to take'
expect 2 "${plan[@]}" --effect 3% --metric lifecycle.start.running
says 'no run here has finished a benchmark with values of lifecycle.start.running'
expect 2 "${plan[@]}" --effect 3% --cv 6% --benchmark lifecycle
says 'no run here has finished lifecycle; run it first'

note 'the newest run with such values is the one'
expect 0 "$novacore" "${sim[@]}" --set run.samples=4 --seed 1 --format json --output few.json
expect 0 "${plan[@]}" --effect 10% --metric lifecycle.start.running
says 'n = 4; no interval: n too small (values: 4 < 6)'
expect 0 "$novacore" "${sim[@]}" --set run.samples=12 --seed 2 --format json --output many.json
expect 0 "${plan[@]}" --effect 10% --metric lifecycle.start.running --format json
cp out plan.json
check plan.json "r['earlier']['run'] == '$(json many.json 'r["run"]["id"]')'"
check plan.json 'r["earlier"]["plugin"] == "sim" and r["earlier"]["simulated"]'
check plan.json 'r["cv"]["n"] == 12 and r["cv"]["failed"] == 0 and r["cv"]["interval_why"] is None'
check plan.json 'r["cv"]["interval"][0] < r["cv"]["value"] < r["cv"]["interval"][1]'
check plan.json 'r["vms_a_side"] < r["vms_a_side_at_cv_high"]'
check plan.json 'abs(r["time_s"] / (r["vms"] * r["earlier"]["replicate_s"]) - 1) < 1e-6'
# The same from the samples of the document.
python3 - many.json plan.json <<'PYTHON' || fail 'the variation is not that of the samples'
import json, statistics, sys
run, plan = (json.load(open(path)) for path in sys.argv[1:])
samples = run["steps"][0]["samples"]
column = {name: i for i, name in enumerate(samples["columns"])}
values = [row[column["value"]] for row in samples["rows"]
          if row[column["metric"]] == "lifecycle.start.running" and row[column["counted"]]]
assert len(values) == 12, len(values)
cv = statistics.stdev(values) / statistics.mean(values)
assert abs(cv / plan["cv"]["value"] - 1) < 1e-9, (cv, plan["cv"]["value"])
PYTHON
expect 0 "${plan[@]}" --effect 10% --metric lifecycle.start.running --plugin sim --benchmark lifecycle
says 'simulated: no measurement'
says 'At the upper end of that interval it takes'
expect 2 "${plan[@]}" --effect 10% --metric lifecycle.start.running --plugin kvm
says 'no run here has finished a benchmark on kvm with values of lifecycle.start.running'
expect 2 "${plan[@]}" --effect 10% --metric lifecycle.nosuch
says 'with values of lifecycle.nosuch'

note 'failed VMs are counted and not planned with'
expect 0 "$novacore" "${sim[@]}" --set run.samples=12 --set hypervisor.sim.fail=start:0.3 --seed 3
expect 0 "${plan[@]}" --effect 10% --metric lifecycle.start.running
says 'n = 10; 2 failed and are not in it'

note 'what is wrong is said, and what to do'
wrong() { expect 2 "${plan[@]}" "${@:2}"; says "$1"; }
wrong '--effect is missing'
wrong 'needs a value' --effect
wrong 'if that is to be per cent, write "3%"' --effect 3 --cv 6%
wrong 'above 0 and at most 1000%' --effect 0 --cv 6%
wrong 'above 0 and at most 1000%' --effect -3% --cv 6%
wrong 'above 0 and at most 1000%' --effect 1001% --cv 6%
wrong 'is no share; write it as 3% or 0.03' --effect nan --cv 6%
wrong 'is no share; write it as 3% or 0.03' --effect 3%% --cv 6%
wrong 'is no share; write it as 3% or 0.03' --effect 3% --cv ''
wrong 'is no share; write it as 3% or 0.03' --effect 3% --cv 1e999
wrong 'by one of --cv SHARE and --metric NAME' --effect 3%
wrong 'by one of --cv SHARE and --metric NAME' --effect 3% --cv 6% --metric lifecycle.start.running
wrong '--alpha is "100%"; it must be above 0 and below 100%' --effect 3% --cv 6% --alpha 100%
wrong '--power is "0"; it must be above 0 and below 100%' --effect 3% --cv 6% --power 0
wrong 'it needs --paired' --effect 3% --cv 6% --rho 0.5
wrong 'a number above -1 and below 1' --effect 3% --cv 6% --paired --rho 1
wrong 'a number above -1 and below 1' --effect 3% --cv 6% --paired --rho half
wrong 'it has no unit' --effect 3% --cv 6% --per-vm 15
wrong 'no VM takes no time' --effect 3% --cv 6% --per-vm 0
wrong 'a whole number from 1 to 100000' --effect 3% --cv 6% --concurrency 0
wrong 'a whole number from 1 to 100000' --effect 3% --cv 6% --concurrency 99999999999999999999
wrong 'a whole number from 1 to 100000' --effect 3% --cv 6% --concurrency 1.5
wrong 'name one' --effect 3% --cv 6% --plugin sim
wrong 'did you mean json' --effect 3% --cv 6% --format jsn
wrong 'takes options only, no "3%"' --effect 3% --cv 6% 3%
wrong 'did you mean --effect' --efect 3%
wrong 'cannot open /nowhere' --effect 3% --cv 6% --config /nowhere
wrong 'more than 1e+12 VMs' --effect 1e-7 --cv 1000%
