#!/bin/bash
# SPDX-License-Identifier: MIT
# Ranks only as far as intervals separate; ties as ties, and what is not comparable as such.
# test_rank.sh NOVACORE MAKE_RUNS
. "$(dirname "$0")/lib.sh"
form
# order FILE: "kvm 1-1, hyperv 2-3, …" of the first group
order() { json "$1" "', '.join('%s %d-%d' % (e['targets'][0]['plugin'], e['rank'], e['rank_worst']) for e in r['groups'][0]['entries'])"; }

note "nothing is there; what is simulated is not ranked"
expect 2 "$novacore" rank $ready
says "no run that is done has measured"
expect 0 "$novacore" --profile dev --plugin sim --quiet --seed 5 --set hypervisor.sim.clock=virtual --output "$scratch/ignored"
expect 5 "$novacore" rank $ready
says "simulated"

note "those that separate have a rank, those that do not share a range"
keep seed=1 plugin=kvm
keep seed=2 plugin=hyperv scale.$ready=1.5
keep seed=3 plugin=vsphere scale.$ready=1.52
keep seed=4 plugin=proxmox scale.$ready=3
expect 0 "$novacore" rank $ready --format json
[ "$(order out)" = "kvm 1-1, hyperv 2-3, vsphere 2-3, proxmox 4-4" ] || fail "$(order out)"
check out 'r["groups"][0]["entries"][1]["tied"]==[2] and r["groups"][0]["entries"][0]["tied"]==[]'
check out 'r["simulated"]==1 and len(r["groups"])==1'
expect 0 "$novacore" rank $ready
says "2-3"
says "1 simulated value(s) left out"

note "the newest value of each target counts; runs that are named count all"
keep seed=5 day=20 plugin=proxmox scale.$ready=0.3
expect 0 "$novacore" rank $ready --format json
[ "$(order out)" = "proxmox 1-1, kvm 2-2, hyperv 3-4, vsphere 3-4" ] || fail "$(order out)"
expect 0 "$novacore" rank $ready 01932b5e-0001 01932b5e-0004 01932b5e-0005 --format json
[ "$(order out)" = "proxmox 1-1, kvm 2-2, proxmox 3-3" ] || fail "$(order out)"

note "of a rate, more is better"
for plugin in kvm hyperv; do # another direction is another definition
  keep seed=$((10 + ${#plugin})) day=$((30 + ${#plugin})) plugin=$plugin revision.lifecycle.total=9 \
    better.lifecycle.total=higher scale.lifecycle.total=${#plugin}
done
expect 0 "$novacore" rank lifecycle.total 01932b5e-000d 01932b5e-0010 --format json
[ "$(order out)" = "hyperv 1-1, kvm 2-2" ] || fail "$(order out)"

note "a tie is not transitive: the middle one is tied with both ends, which are apart"
keep seed=21 day=40 plugin=alpha cv=0.08 n=12 scale.lifecycle.stop.gone=1
keep seed=22 day=40 plugin=beta cv=0.30 n=12 scale.lifecycle.stop.gone=1.2
keep seed=23 day=40 plugin=gamma cv=0.08 n=12 scale.lifecycle.stop.gone=1.4
expect 0 "$novacore" rank lifecycle.stop.gone 01932b5e-0015 01932b5e-0016 01932b5e-0017 --format json
[ "$(order out)" = "alpha 1-2, beta 1-3, gamma 2-3" ] || fail "$(order out)"

note "few VMs have no interval, so no rank of their own; failures widen it"
keep seed=24 day=50 plugin=few n=4 scale.$ready=0.01
keep seed=25 day=50 plugin=lossy n=12 fail.$ready=6 scale.$ready=0.01
expect 0 "$novacore" rank $ready --format json
check out '[(e["rank"], e["rank_worst"], e["interval"]) for e in r["groups"][0]["entries"] if e["targets"][0]["plugin"]=="few"]==[(1, 9 if len(r["groups"][0]["entries"])==9 else len(r["groups"][0]["entries"]), None)]'
check out '[e["interval"] for e in r["groups"][0]["entries"] if e["targets"][0]["plugin"]=="lossy"]==[None]'
expect 0 "$novacore" rank $ready
says "no interval: n = 4 of 4"
says "no interval: n = 6 of 12"

note "not comparable: the reason stands there"
keep seed=30 day=60 plugin=kvm accel=tcg
keep seed=31 day=60 plugin=kvm revision.$ready=2
keep seed=32 day=60 plugin=kvm source.$ready=poll
keep seed=33 day=60 plugin=kvm cpu=Another
expect 0 "$novacore" rank $ready
for reason in "accelerator tcg, there kvm" "revision 2, there 1" "end points from poll, there" "(host, shape or guest)"; do
  says "Not comparable with the first: "
  says "$reason"
done
expect 0 "$novacore" rank $ready --format json
check out 'len(r["groups"])==5 and r["groups"][0]["not_comparable"] is None and all(g["not_comparable"] for g in r["groups"][1:])'
cp out once
expect 0 "$novacore" rank $ready --format json
cmp once out || fail "it is not deterministic"
expect 0 "$novacore" rank $ready --format csv --output r.csv
python3 - r.csv <<'PYTHON' || fail "the CSV is not what it should be"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert {row["group"] for row in rows} == {"1", "2", "3", "4", "5"}
assert all((row["group"] == "1") == (not row["not_comparable"]) for row in rows)
PYTHON

note "wrong words"
expect 2 "$novacore" rank
expect 2 "$novacore" rank lifecycle.start.redy
says 'did you mean "lifecycle.start.ready"'
expect 2 "$novacore" rank $ready ffffffff
expect 2 "$novacore" rank $ready --format xml
expect 2 "$novacore" rank $ready --output /nowhere/x
