#!/bin/bash
# SPDX-License-Identifier: MIT
# A against B: interleaved, in fresh VMs, resumable; finds what was injected, and of A against A what
# it promised.
. "$(dirname "$0")/lib.sh"
with_plugins "$2"
sim=(--profile dev --plugin sim --set hypervisor.sim.clock=virtual --full)
ab() { "$novacore" ab "${sim[@]}" "$@"; }
said='r["steps"][0]["ab"]'

note "a difference is found, in blocks of both sides, each in a VM of its own"
expect 0 ab --benchmark sides --seed 4 --a sides.factor=0.96 --b sides.factor=1.02,sides.pause=1 --format json --output a.json
check a.json "$said['state'] == 'greater' and $said['decided_at'] == $said['pairs'] < 50"
check a.json "$said['a'] == ['sides.factor=0.96'] and $said['b'] == ['sides.factor=1.02', 'sides.pause=1']"
check a.json "$said['interval'][0] > 1.03 and 1.05 < $said['ratio'] < 1.08 and 'b is better than a' in $said['says']"
check a.json 'r["steps"][0]["stopped"] == "precision" and r["run"]["state"] == "complete"'
order='[x["side"] for x in sorted(r["steps"][0]["replicates"], key=lambda x: x["order"])]'
check a.json "all(sorted($order[i:i+2]) == ['a', 'b'] for i in range(0, len($order), 2))"
check a.json "len({tuple($order[i:i+2]) for i in range(0, len($order), 2)}) == 2"
check a.json 'r["steps"][0]["params"]["factor"] == {"a": 0.96, "b": 1.02} and r["steps"][0]["params"]["bad"] == -1'
check a.json '{(c["name"], c["a"], c["b"], c["of"]) for c in r["steps"][0]["comparisons"]} == {("sides.rate.ratio", "a", "b", "ratio"), ("sides.time.ratio", "a", "b", "ratio")}'
expect 0 "$novacore" results list --format json
NOVACORE_HOME="$scratch/elsewhere" expect 0 "$novacore" results import a.json
NOVACORE_HOME="$scratch/elsewhere" expect 0 "$novacore" results export last --output b.json
cmp a.json b.json || fail "the result is another one after export and import"

note "lower is worse here, and says so by the exit code"
expect 1 ab --benchmark sides --a sides.factor=1 --b sides.factor=0.9 --fail-on worse
says "b is worse than a: sides.rate is less in b, by more than 3 %"
expect 0 ab --benchmark sides --a sides.factor=0.9 --b sides.factor=1 --fail-on worse
expect 1 ab --benchmark sides --metric sides.time --a sides.factor=1 --b sides.factor=0.9 --fail-on worse
says "sides.time is greater in b"
expect 0 ab --benchmark sides --a sides.factor=1 --b sides.factor=1.001 --fail-on worse
says "a and b differ by less than 3 % in sides.rate"

note "undecided at the limit, and how to go on"
expect 0 ab --benchmark lifecycle --a run.shape=standard --b run.shape=standard --max-pairs 4 --seed 1
says "not decided on lifecycle."
says "after 4 pairs; more pairs, or a larger minimum effect, decide"

note "a slower start of the hypervisor is found, whatever else scatters"
expect 0 ab --benchmark lifecycle --metric lifecycle.start.running --seed 2 --minimum-effect 0 \
  --a hypervisor.sim.start=lognormal:30ms:0.3 --b hypervisor.sim.start=lognormal:45ms:0.3 --format json --output b.json
check b.json "$said['state'] == 'greater' and $said['interval'][0] > 1"
check b.json 'len({x[3] for x in r["steps"][0]["samples"]["rows"]}) == len(r["steps"][0]["replicates"])'
check b.json '[t["name"] for t in r["targets"]] == ["local-a", "local-b"]'
nothing_left

note "a side that fails counts as worse"
expect 0 ab --benchmark sides --metric sides.time --a sides.bad=-1 --b sides.bad=1 --max-pairs 8 --format json --output b.json
check b.json "$said['lost'] == 1"

note "killed and resumed: each pair once"
"$novacore" ab "${sim[@]}" --benchmark sides --a sides.pause=100 --b sides.pause=101 --minimum-effect 0 \
  --max-pairs 8 --seed 9 >out 2>err </dev/null &
parent=$!
sleep 1
kill -9 $parent
wait $parent 2>/dev/null || true
expect 2 "$novacore" run --resume last
says "novacore ab --resume"
expect 0 "$novacore" ab --resume last --format json --output b.json
check b.json 'sorted((x["replicate"], x["side"]) for x in r["steps"][0]["replicates"] if x["state"] == "done") == sorted((i, s) for i in range(8) for s in "ab")'
check b.json "$said['pairs'] == 8 and $said['state'] == 'undecided'"
expect 2 "$novacore" ab --resume last
says "there is nothing to resume"
expect 0 "$novacore" "${sim[@]}" --benchmark sides --set run.samples=1
expect 2 "$novacore" ab --resume last

note "a dry run says both sides and does nothing"
expect 0 ab --benchmark sides --a sides.factor=0.9 --b vm.standard.knobs=vm.disk.cache=none,vm.disk.io=native --dry-run
says "b: vm.standard.knobs=vm.disk.cache=none,vm.disk.io=native"
says "nothing has been done"

note "wrong input"
wrong() { local words=$1; shift; expect 2 ab "$@"; says "$words"; }
wrong "--benchmark cpu" --a x=1 --b x=2
wrong "ab wants --a and --b" --benchmark sides --a sides.factor=1
wrong "given twice" --benchmark sides --benchmark host --a x=1 --b x=2
wrong "--a" --benchmark sides --a sides.facter=1 --b sides.factor=1
wrong "sides.factor" --benchmark sides --a sides.factor=1 --b sides.factor
wrong "--alpha wants" --benchmark sides --a sides.factor=1 --b sides.factor=1 --alpha 0
wrong "--alpha wants" --benchmark sides --a sides.factor=1 --b sides.factor=1 --alpha 0.6
wrong "--minimum-effect wants" --benchmark sides --a sides.factor=1 --b sides.factor=1 --minimum-effect 100%
wrong "--minimum-effect wants" --benchmark sides --a sides.factor=1 --b sides.factor=1 --minimum-effect x
wrong "--max-pairs wants" --benchmark sides --a sides.factor=1 --b sides.factor=1 --max-pairs 0
wrong "--seed wants" --benchmark sides --a sides.factor=1 --b sides.factor=1 --seed -1
wrong "did you mean sides.rate" --benchmark sides --a sides.factor=1 --b sides.factor=1 --metric sides.rat
wrong "side b has 2 steps" --benchmark lifecycle --a lifecycle.concurrency=1 --b lifecycle.concurrency=1,2
wrong '--fail-on takes "worse"' --benchmark sides --a sides.factor=1 --b sides.factor=1 --fail-on goal
wrong "no other choice" --resume last --benchmark sides

note "A against A: of 40 runs that may err in 20 of 100, hardly more do"
runs=40 alarms=0
for ((run = 0; run < runs; run++)); do
  expect 0 ab --benchmark lifecycle --metric lifecycle.start.running --a run.shape=standard --b run.shape=standard \
    --set lifecycle.ready=false --set lifecycle.snapshot=false --set run.warmup=0 \
    --alpha 0.2 --minimum-effect 0 --max-pairs 12 --seed $((1000 + run)) --format json --output b.json
  case $(json b.json "$said['state']") in
    greater | less) alarms=$((alarms + 1)) ;;
    undecided) ;;
    *) fail "a minimum effect of 0 never says that A and B are the same" ;;
  esac
done
note "$alarms of $runs"
# At most 0.2 each: 16 or more of 40 come with a probability below 0.003; the seeds are fixed.
[ $alarms -lt 16 ] || fail "$alarms false alarms of $runs"
nothing_left
