#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs of the simulator listed, shown, exported, imported elsewhere and deleted; and everything that
# can be wrong with that, each with its message and exit code.
. "$(dirname "$0")/../run/lib.sh"
schema=$2
sim=(--profile dev --plugin sim --set hypervisor.sim.clock=virtual --quiet)

note "nothing is there yet"
expect 0 "$novacore" results list
says "no run yet"
expect 2 "$novacore" results show last
says "there is no run yet"

expect 0 "$novacore" "${sim[@]}" --seed 7 --format json --output first.json
expect 0 "$novacore" "${sim[@]}" --seed 8 --output table.txt
id=$(json first.json 'r["run"]["id"]')

note "list and show"
expect 0 "$novacore" results list
says "$id"
expect 0 "$novacore" results list --format json
[ "$(json out 'len(r["runs"])')" = 2 ] || fail "two runs are not listed as two"
expect 0 "$novacore" results show "$id"
says "lifecycle on local"
says "simulated: these are not measurements"
expect 0 "$novacore" results show last --verbose
says "p99 n too small"
expect 2 "$novacore" results show 0
says "is no run id"
expect 2 "$novacore" results show ffffffff
says "there is no run ffffffff"
expect 2 "$novacore" results shwo last
says "did you mean show"
expect 2 "$novacore" results show last --format jsn
says 'has no format "jsn"'
expect 2 "$novacore" results show
says "takes one RUN"

note "export is the document that the run wrote, and follows its schema"
expect 0 "$novacore" results export "$id" --output again.json
cmp first.json again.json || fail "export differs from what the run wrote"
python3 - "$schema" again.json <<'PYTHON' || fail "the schema refuses the document"
import json, sys
try:
    import jsonschema
except ImportError:
    sys.exit(0)
schema, document = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator(schema).validate(document)
PYTHON
expect 0 "$novacore" results export "$id" --format csv --output rows.csv
rows=$(json first.json 'sum(len(s["samples"]["rows"]) for s in r["steps"])')
[ "$(wc -l <rows.csv)" = $((rows + 1)) ] || fail "the CSV has not one row per sample"
expect 0 "$novacore" results export "$id" --format junit --output j.xml
python3 -c 'import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])' j.xml || fail "no XML"
expect 2 "$novacore" results export "$id" --output /nowhere/r.json
says "cannot write /nowhere/r.json"
[ ! -e /nowhere ] || fail "a directory was made"
"$novacore" results export "$id" >/dev/full 2>err && fail "a full disk was not noticed"
grep -qi "no space left" err || fail "a full disk was not named"

note "import elsewhere"
home=$PWD/elsewhere
mkdir elsewhere
printf 'store = { path = "%s/n.db"; };\n' "$home" >elsewhere.conf
there=(--config elsewhere.conf)
expect 0 "$novacore" results import first.json "${there[@]}"
says "$id imported"
expect 0 bash -c "exec \"\$0\" results import - ${there[*]} <first.json" "$novacore"
says "is stored already"
expect 0 "$novacore" results export last --output back.json "${there[@]}"
cmp first.json back.json || fail "an imported run exports differently"
expect 2 "$novacore" run --resume last "${there[@]}"

note "imports that are refused"
sed 's/"seed": 7/"seed": 9/' first.json >other.json
expect 2 "$novacore" results import other.json "${there[@]}"
says "with other contents"
sed 's/novacore.result\/1/novacore.result\/2/' first.json >newer.json
expect 3 "$novacore" results import newer.json "${there[@]}"
says "novacore.result/2"
head -c 3000 first.json >half.json
expect 2 "$novacore" results import half.json "${there[@]}"
says "half.json:"
echo '[]' >list.json
expect 2 "$novacore" results import list.json "${there[@]}"
says "not a result of novacore"
expect 2 "$novacore" results import missing.json "${there[@]}"
says "cannot read missing.json"
expect 2 "$novacore" results import "${there[@]}"
says "at least one FILE"

note "delete"
expect 2 "$novacore" results delete "$id"
says "say --yes"
expect 2 "$novacore" results delete "$id" ffffffff --yes
expect 0 "$novacore" results show "$id"
expect 0 "$novacore" results delete "$id" --yes
says "$id deleted"
expect 2 "$novacore" results show "$id"
expect 0 "$novacore" results list --format json
[ "$(json out 'len(r["runs"])')" = 1 ] || fail "the other run was not kept"

note "a database that cannot be used"
printf 'not a database, but long enough to be looked at as if it were one' >broken.db
printf 'store = { path = "%s/broken.db"; };\n' "$PWD" >broken.conf
expect 4 "$novacore" results list --config broken.conf
says "is damaged"
printf 'store = { path = "/proc/novacore/n.db"; };\n' >nowhere.conf
"$novacore" results list --config nowhere.conf >out 2>err && fail "opened a database in /proc"
grep -q "/proc/novacore" err || fail "the place is not named"
