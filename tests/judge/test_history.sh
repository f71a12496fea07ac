#!/bin/bash
# SPDX-License-Identifier: MIT
# A metric over time: series that are never mixed, change points that are dated, known and stay so.
# test_history.sh NOVACORE MAKE_RUNS
. "$(dirname "$0")/lib.sh"
form
series() { check out "$1"; }

note "nothing is there"
expect 2 "$novacore" history $ready
says "no run that is done has measured"

note "a step of +25 % after fifteen runs is found where it is, and nothing in a metric without one"
for i in $(seq 1 30); do
  factor=1
  [ "$i" -le 15 ] || factor=1.25
  make kept-$i.json seed=$((300 + i)) day=$i scale.$ready=$factor
done
expect 0 "$novacore" results import kept-*.json --quiet
expect 0 "$novacore" history $ready --format json
series 'len(r["series"])==1 and len(r["series"][0]["points"])==30'
series 'len(r["series"][0]["changes"])==1'
series '(lambda c: 13<=c["index"]<=17 and c["low"]<=c["index"]<=c["high"] and 0.15<c["shift"]<0.35 and c["worse"] is True and c["acknowledged"] is None)(r["series"][0]["changes"][0])'
series '[p["started"] for p in r["series"][0]["points"]]==sorted(p["started"] for p in r["series"][0]["points"])'
id=$(json out 'r["series"][0]["changes"][0]["id"]')
began=$(json out 'r["series"][0]["changes"][0]["run"]')
expect 0 "$novacore" history $ready
says "1 series, 1 change point"
says "(worse)"
expect 0 "$novacore" history lifecycle.total --format json
series 'r["series"][0]["changes"]==[]'

note "known, and still known when a later run moves it a little"
expect 0 "$novacore" ack $id --why "kernel 6.1"
says "$id acknowledged: the change of $ready"
says "$began"
expect 0 "$novacore" history $ready
says "acknowledged: kernel 6.1"
for i in 31 32 33; do keep seed=$((300 + i)) day=$i scale.$ready=1.25; done
expect 0 "$novacore" history $ready --format json
series 'r["series"][0]["changes"][0]["acknowledged"]["why"]=="kernel 6.1"'

note "what is known of the history is no regression to be alerted"
expect 0 "$novacore" baseline set 01932b5e-012d
keep seed=340 day=40 scale.$ready=1.25
expect 0 "$novacore" results export last --output last.json
check last.json '[m["baseline"]["acknowledged"]["why"] for m in r["steps"][0]["metrics"] if m["baseline"]["verdict"]=="regressed"]==["kernel 6.1"]'
keep seed=341 day=41 scale.$ready=1.6
expect 0 "$novacore" results export last --output last.json
check last.json '[m["verdict"] for m in r["steps"][0]["metrics"] if m["baseline"]["verdict"]=="regressed"]==["regressed"]'

note "another host, accelerator, definition, source, target or side is another series"
keep seed=350 day=50 cpu=Another
keep seed=351 day=51 accel=tcg
keep seed=352 day=52 revision.$ready=2
keep seed=353 day=53 source.$ready=elsewhere
keep seed=354 day=54 target=lab plugin=sim
keep seed=355 day=55 native=1
expect 0 "$novacore" history $ready --format json
series 'len(r["series"])==7'
expect 0 "$novacore" history $ready --format json --side native
series '[s["side"] for s in r["series"]]==["native"]'
expect 0 "$novacore" history $ready --format json --plugin sim
series '[s["targets"][0]["name"] for s in r["series"]]==["lab"]'

note "only those of a where; of this host"
expect 0 "$novacore" history $ready --format json
where=$(json out '[s["where"] for s in r["series"] if s["accel"]=="tcg"][0]')
expect 0 "$novacore" history $ready --format json --where ${where:0:10}
series '[s["accel"] for s in r["series"]]==["tcg"]'
expect 2 "$novacore" history $ready --where this
says "nothing of it fits"
expect 0 "$novacore" --profile dev --plugin sim --quiet --seed 5 --set hypervisor.sim.clock=virtual --output "$scratch/ignored"
expect 0 "$novacore" history $ready --where this --format json
series 'len(r["series"])==1 and r["series"][0]["simulated"] is True'
expect 0 "$novacore" history $ready --where this
says "these are not measurements"

note "a run in which nothing succeeded is a gap, not a value; a deleted run is gone"
keep seed=360 day=60 fail.$ready=10
lost=$made
expect 0 "$novacore" history $ready --format json
series 'sum(s["gaps"] for s in r["series"])==1'
expect 0 "$novacore" results delete $lost --yes
expect 0 "$novacore" history $ready --format json
series 'sum(s["gaps"] for s in r["series"])==0'

note "CSV"
expect 0 "$novacore" history $ready --format csv --output h.csv
python3 - h.csv <<'PYTHON' || fail "the CSV is not what it should be"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert len(rows) == 43, len(rows)
assert [row["acknowledged"] for row in rows if row["change"]][0] == "kernel 6.1"
assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows)
PYTHON

note "wrong words"
expect 2 "$novacore" history
expect 2 "$novacore" history a b
expect 2 "$novacore" history lifecycle.start.redy
says 'did you mean "lifecycle.start.ready"'
for wrong in --where=xyz --where= --side=left --format=junit --benchmark=none --plugin=none --output=/nowhere/x; do
  expect 2 "$novacore" history $ready "$wrong"
done
