#!/bin/bash
# SPDX-License-Identifier: MIT
# The command `report`: every way to name a run and a format, and everything that can be wrong.
. "$(dirname "$0")/../run/lib.sh"
sim=(--profile dev --plugin sim --set hypervisor.sim.clock=virtual --quiet)

note "nothing is there yet"
expect 2 "$novacore" report last
says "there is no run yet"
expect 2 "$novacore" report
says "report takes one RUN"
expect 2 "$novacore" report last another
says "report takes one RUN"

for seed in 1 2 3; do
  expect 0 "$novacore" "${sim[@]}" --seed $seed --format json --output $seed.json
done
id=$(json 3.json 'r["run"]["id"]')

note "a run, by its id, as last, as a file, from standard input"
expect 0 "$novacore" report "$id"
grep -q "<h1>development on local (sim)</h1>" out || fail "no HTML came out"
says "$id"
says "Simulated."
cp out by-id.html
expect 0 "$novacore" report last --output last.html
cmp by-id.html last.html || fail "last is not the latest run"
expect 0 "$novacore" report 3.json --output file.html
grep -q 'id="history"' last.html || fail "there is no history"
grep -q 'id="history"' file.html && fail "a file has a history"
expect 0 "$novacore" report "$id" --no-history --output none.html
cmp none.html file.html || fail "a file and the run in it differ in more than history"
"$novacore" report - <3.json >stdin.html || fail "standard input was not read"
cmp stdin.html file.html || fail "standard input and file differ"

note "history has the three runs and their values, exactly, up to the run that is told of"
grep -o 'aria-label="lifecycle.start.ready, vm"' last.html >/dev/null || fail "no history of a metric"
grep -q "3 runs from" last.html || fail "history does not have three runs"
expect 0 "$novacore" report "$(json 2.json 'r["run"]["id"]')" --output second.html
grep -q "2 runs from" second.html || fail "history of the second run does not have two"
grep -q "3 runs from" second.html && fail "history goes beyond the run"
expect 0 "$novacore" report "$(json 1.json 'r["run"]["id"]')" --output first.html
grep -q 'id="history"' first.html && fail "the first run has a history"

note "the file's ending says the format, --format overrules it"
expect 0 "$novacore" report last --output r.md
grep -q '^| metric | median | goal | verdict |$' r.md || fail "no Markdown table"
expect 0 "$novacore" report last --output r.json
cmp r.json 3.json || fail "the JSON is not the run's"
expect 0 "$novacore" report last --output r.csv
head -n 1 r.csv | grep -q '^run,step,' || fail "no CSV"
expect 0 "$novacore" report last --output r.xml
python3 -c 'import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])' r.xml || fail "no XML"
expect 0 "$novacore" report last --output r.txt --format markdown
grep -q '^# novacore' r.txt || fail "--format was not heard"
expect 0 "$novacore" "${sim[@]}" --seed 4 --format html --output run.html
grep -q "</html>" run.html || fail "run --format html wrote no page"

note "a change of level between runs is found where it was made, and only there"
export NOVACORE_HOME=$scratch/shifted
for i in $(seq 1 26); do
  expect 0 "$novacore" "${sim[@]}" --seed "$i" --set hypervisor.sim.stop=lognormal:$([ "$i" -le 14 ] && echo 60 || echo 90)ms:0.05
done
expect 0 "$novacore" report last --output shifted.html
grep -q '26 runs from .* Changed at [^ ]* (point 15):' shifted.html || fail "the change was not told"
python3 - shifted.html <<'PYTHON' || fail "it is not told of stop.gone alone (and the total that contains it)"
import re, sys
figures = re.findall(r"<title id=\"t\d+\">([^<]*)</title><desc[^>]*>(\d+ runs [^<]*)", open(sys.argv[1]).read())
changed = {name for name, text in figures if "Changed" in text}
print(changed)
sys.exit(not ({"lifecycle.stop.gone, vm"} <= changed <= {"lifecycle.stop.gone, vm", "lifecycle.total, vm"}))
PYTHON

note "wrong input, and what to do"
export NOVACORE_HOME=$scratch/home
expect 2 "$novacore" report last --format htlm
says 'has no format "htlm"; did you mean html?'
expect 2 "$novacore" report ffffffff
says "there is no run ffffffff"
expect 2 "$novacore" report ./none.json
says "cannot read ./none.json"
expect 2 "$novacore" report last --outptu x
says "did you mean --output"
echo '{"schema":"novacore.result/1","run":' >broken.json
expect 2 "$novacore" report broken.json --output b.html
says "broken.json:"
says "not JSON"
echo '{"schema":"novacore.result/1"}' >poor.json
expect 2 "$novacore" report poor.json --output b.html
says "poor.json: not a novacore.result/1: run is missing"
echo '{"schema":"novacore.result/9"}' >newer.json
expect 3 "$novacore" report newer.json --output b.html
says "use a newer one"
[ ! -e b.html ] || fail "a report of nothing appeared"
expect 2 "$novacore" report last --output /nowhere/r.html
says "cannot write /nowhere/r.html"
"$novacore" report last >/dev/full 2>err && fail "a full disk was not noticed"
says "cannot write"
echo "-- done"
