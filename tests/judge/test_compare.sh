#!/bin/bash
# SPDX-License-Identifier: MIT
# Known shifts are found and noise is not; what is not comparable is refused or said; everything that
# can be wrong with the words. test_compare.sh NOVACORE MAKE_RUNS
. "$(dirname "$0")/lib.sh"
form

note "a shift of one metric is found, and nothing else"
make a.json seed=1
make b.json seed=2 scale.$ready=1.3
expect 0 "$novacore" compare a.json b.json --format json
says_row $ready 'm["verdict"]=="regressed" and 0.15<m["shift"]<0.45 and m["interval"][0]<=m["shift"]<=m["interval"][1] and m["p"]<=m["p_adjusted"]<=0.01'
[ "$(verdicts out)" = "regressed 1, same 11" ] || fail "$(verdicts out)"
expect 0 "$novacore" compare b.json a.json --format json
says_row $ready 'm["verdict"]=="improved" and m["shift"]<-0.1'
expect 1 "$novacore" compare a.json b.json --fail-on regression
says "1 regressed, 11 same"
expect 0 "$novacore" compare b.json a.json --fail-on regression

note "of a rate, less is worse"
make higher.json seed=3 better.$ready=higher
make lower.json seed=4 better.$ready=higher scale.$ready=0.7
expect 0 "$novacore" compare higher.json lower.json --format json
says_row $ready 'm["verdict"]=="regressed" and -0.45<m["shift"]<-0.15 and m["interval"][0]<=m["shift"]<=m["interval"][1]'

note "noise is not found: 20 pairs of 12 metrics each, nothing changed"
for i in $(seq 1 20); do
  make n.json seed=$((100 + i))
  make m.json seed=$((200 + i))
  expect 0 "$novacore" compare n.json m.json --format json
  check out 'all(m["verdict"] in ("same", "inconclusive") for m in r["metrics"])'
done

note "many metrics looked at: what is evidence of one is none among twelve"
make a6.json seed=5 n=6
make b6.json seed=6 n=6 scale.$ready=1.3
expect 0 "$novacore" compare a6.json b6.json --format json
says_row $ready 'm["p"]<0.01<m["p_adjusted"] and m["verdict"]=="inconclusive" and "more samples" in m["why"]'
expect 0 "$novacore" compare a6.json b6.json --format json --metric $ready
says_row $ready 'm["p_adjusted"]==m["p"] and m["verdict"]=="regressed"'

note "less than the minimum effect is none, whatever the p; the effect can be chosen"
make s.json seed=7 n=60 cv=0.02
make t.json seed=8 n=60 cv=0.02 scale.$ready=1.05
expect 0 "$novacore" compare s.json t.json --format json
says_row $ready 'm["verdict"]=="same" and m["p_adjusted"]<0.01'
expect 0 "$novacore" compare s.json t.json --format json --minimum-effect 3%
says_row $ready 'm["verdict"]=="regressed" and m["minimum_effect"]==0.03'
mkdir -p "$NOVACORE_HOME/config"
echo 'regression = { metrics = ["lifecycle.*=4%", "lifecycle.start.ready=3%"]; };' >"$NOVACORE_HOME/config/novacore.conf"
expect 0 "$novacore" compare s.json t.json --format json
says_row $ready 'm["verdict"]=="regressed" and m["minimum_effect"]==0.03'
says_row lifecycle.total 'm["minimum_effect"]==0.04'
echo 'regression = { metrics = ["lifecycle.start.ready"]; };' >"$NOVACORE_HOME/config/novacore.conf"
expect 2 "$novacore" compare s.json t.json
says 'is not METRIC=EFFECT'
rm "$NOVACORE_HOME/config/novacore.conf"

note "the unit is a fresh VM: a hundred samples of each of two VMs are two"
make u.json seed=9 n=2 seqs=100
make v.json seed=10 n=2 seqs=100 scale.$ready=2
expect 0 "$novacore" compare u.json v.json --format json
says_row $ready 'm["b"]["n"]==2 and m["verdict"]=="inconclusive" and m["interval"] is None and "n" in m["interval_why"]'

note "what does not succeed any more is worse than any value"
make f.json seed=11 fail.$ready=9
expect 0 "$novacore" compare a.json f.json --format json
says_row $ready 'm["verdict"]=="regressed" and m["shift"] is None and m["b"]["lost"]==9 and m["b"]["n"]==1'
make g.json seed=12 fail.$ready=10
expect 0 "$novacore" compare a.json g.json --format json
says_row $ready 'm["verdict"]=="regressed" and m["b"]["value"] is None'
expect 0 "$novacore" compare g.json a.json --format json
says_row $ready 'm["verdict"]=="improved"'
expect 0 "$novacore" compare g.json g.json --format json
says_row $ready 'm["verdict"]=="inconclusive"'

note "zeros have no ratio, and do no harm"
make z.json seed=13 zero.$ready=1
expect 0 "$novacore" compare z.json z.json --format json
says_row $ready 'm["verdict"]=="inconclusive" and m["shift"] is None'
expect 0 "$novacore" compare z.json a.json
expect 0 "$novacore" compare a.json z.json --format json
says_row $ready 'm["verdict"]=="improved"'

note "the host drifted: without hypervisor it shifted as well"
make d1.json seed=14 native=1
make d2.json seed=15 native=1 scale.$ready=1.3 scale.native=1.3
expect 0 "$novacore" compare d1.json d2.json --format json
row out $ready >row.json
check row.json 'r["verdict"]=="inconclusive" and "the host drifted" in r["why"]'
row out $ready native >row.json
check row.json 'r["verdict"]=="regressed"'
make d3.json seed=16 native=1 scale.$ready=1.3
expect 0 "$novacore" compare d1.json d3.json --format json
row out $ready >row.json
check row.json 'r["verdict"]=="regressed"'

note "different circumstances are refused, with what differs; --force marks it"
make other.json seed=17 cpu=Another
expect 5 "$novacore" compare a.json other.json
says 'cpu ("Test CPU", "Another")'
says --force
expect 0 "$novacore" compare a.json other.json --force
says "FORCED"
expect 0 "$novacore" compare a.json other.json --force --format json
check out 'r["forced"] is True and r["where"]["differs"][0]["fact"]=="cpu"'
make tcg.json seed=18 accel=tcg
expect 5 "$novacore" compare a.json tcg.json
says 'accel ("kvm", "tcg")'
expect 0 "$novacore" compare a.json b.json --force --format json
check out 'r["forced"] is False'

note "a kernel that leaves a little less memory is no other machine, and what it is, is printed"
make kernel.json seed=19 memory=24671200 knob=on target=lab
expect 0 "$novacore" compare a.json kernel.json
says 'knob: "off" in a, "on" in b'
make more.json seed=20 memory=49368168
expect 5 "$novacore" compare a.json more.json
says 'memory ("24 GiB", "48 GiB")'

note "another definition, or another source of end points, is not comparable"
make rev.json seed=21 revision.$ready=2 source.lifecycle.stop.gone=elsewhere
expect 0 "$novacore" compare a.json rev.json --format json
says_row $ready 'm["verdict"]=="not comparable" and "revision 1, then 2" in m["why"] and m["p"] is None'
says_row lifecycle.stop.gone 'm["verdict"]=="not comparable" and "elsewhere" in m["why"]'
check out 'sum(m["verdict"]=="not comparable" for m in r["metrics"])==2 and not any(m["verdict"]=="regressed" for m in r["metrics"])'

note "CSV has a row for each metric; the same comparison is the same text"
expect 0 "$novacore" compare a.json b.json --format csv --output c.csv
python3 - c.csv <<'PYTHON' || fail "the CSV is not what it should be"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert len(rows) == 12, len(rows)
assert {row["verdict"] for row in rows} == {"regressed", "same"}
assert all(float(row["low"]) <= float(row["shift"]) <= float(row["high"]) for row in rows)
PYTHON
expect 0 "$novacore" compare a.json b.json
cp out once
expect 0 "$novacore" compare a.json b.json
cmp once out || fail "it is not deterministic"

note "runs of the store, the beginning of an id, standard input"
keep seed=30
a=$made
keep seed=31 scale.$ready=1.5
expect 0 "$novacore" compare 01932b5e-001e last --format json
says_row $ready 'm["verdict"]=="regressed"'
check out "r['a']['name']=='$a'"
expect 0 bash -c '"$0" compare - b.json <a.json' "$novacore"

note "wrong words"
expect 2 "$novacore" compare
expect 2 "$novacore" compare a.json
says "takes two"
expect 2 "$novacore" compare a.json b.json a.json
expect 2 "$novacore" compare - -
says "not both"
expect 2 "$novacore" compare a.json missing.json
says "cannot read missing.json"
expect 2 "$novacore" compare a.json nothing
says "is no run, no baseline and no file"
expect 2 "$novacore" compare a.json ffffffff
says "there is no run ffffffff"
head -c 2000 a.json >half.json
expect 2 "$novacore" compare half.json a.json
says "half.json:"
echo '{"schema": "novacore.result/1"}' >empty.json
expect 2 "$novacore" compare a.json empty.json
says "empty.json: not a novacore.result/1"
expect 2 "$novacore" compare a.json b.json --metric lifecycle.start.redy
says 'neither of them has measured "lifecycle.start.redy"'
for wrong in --level=1 --level=0.4 --level=x --level= --minimum-effect=0 --minimum-effect=-5% --minimum-effect=x --minimum-effect=1.2.3 --fail-on=goal --format=tabel --output=/nowhere/x --metric; do
  expect 2 "$novacore" compare a.json b.json "$wrong"
done
"$novacore" compare a.json b.json >/dev/full 2>err && fail "a full disk was not noticed"
grep -qi "no space left" err || fail "a full disk was not named"
