#!/bin/bash
# SPDX-License-Identifier: MIT
# novacore analyze on good and on wrong files. test_analyze.sh NOVACORE
. "$(dirname "$0")/../run/lib.sh"

# series ROWS AT STEP [SEED]: index,value around 100 ± 5, STEP higher from AT on
series() {
  awk -v n="$1" -v at="$2" -v step="$3" -v seed="${4:-1}" 'BEGIN { srand(seed); print "index,value"
    for (i = 0; i < n; i++) {
      sum = 0; for (k = 0; k < 12; k++) sum += rand()
      printf "%d,%.3f\n", 1000 + i, 100 + 5 * (sum - 6) + (i >= at ? step : 0) } }'
}
refuses() { # TEXT COMMAND…: exit 2, says TEXT, prints nothing
  local text=$1
  shift
  expect 2 "$@"
  says "$text"
  [ ! -s out ] || fail "a refused series was printed: $*"
}
analyze() { expect 0 "$novacore" analyze "$@"; }

note 'the document'
series 120 60 20 >step.csv
analyze step.csv --format json
check out 'list(r)[:3] == ["schema", "n", "change_points"] and r["schema"] == "novacore.analysis/1"'
check out 'r["n"] == r["rows"] == 120 and len(r["change_points"]) == 1 and r["gaps"] == 0'
check out 'r["change_points"][0]["index"] == 60 and r["change_points"][0]["time"] == 1060'
check out 'abs(r["change_points"][0]["shift"] - 0.2) < 0.05 and 0 < r["change_points"][0]["p"] < 0.01'
check out 'abs(r["change_points"][0]["before"] - 100) < 3 and abs(r["change_points"][0]["after"] - 120) < 3'
check out 'r["column"] == "value" and r["sensitivity"] == "default" and r["false_alarms"] == 0.01'
check out 'r["trend"]["p"] < 0.05 and abs(r["autocorrelation"]) < 0.4 and r["notes"] == []'
cp out first
"$novacore" analyze - --format json <step.csv >out
cmp -s out first || fail 'standard input gives another answer than the file'
analyze step.csv --format json --output kept.json
cmp -s kept.json first || fail '--output writes something else'

note 'the table'
analyze step.csv
says '1060'
says '95 % between'
series 120 999 0 >flat.csv
analyze flat.csv
says 'no change'

note 'sensitivity and least effect'
analyze step.csv --min-effect 50% --format json
check out 'r["change_points"] == [] and r["minimum_effect"] == 0.5'
analyze step.csv --min-effect 0.1 --sensitivity low --format json
check out 'len(r["change_points"]) == 1 and r["false_alarms"] == 0.001'
for effect in -1 5x % '' nan inf 0x1 1e9; do
  refuses 'a share of the level before is wanted' "$novacore" analyze step.csv --min-effect "$effect"
done
refuses 'did you mean "high"' "$novacore" analyze step.csv --sensitivity hihg
refuses 'it has table and json' "$novacore" analyze step.csv --format xml
refuses 'analyze takes one FILE' "$novacore" analyze
refuses 'not more' "$novacore" analyze step.csv flat.csv
refuses 'did you mean --column' "$novacore" analyze step.csv --colunm value
refuses 'needs a value' "$novacore" analyze step.csv --column

note 'columns, quotes, separators, line ends'
sed '1s/.*/i;"my; value"/; s/,/;/' step.csv | sed 's/$/\r/' >semicolon.csv
analyze semicolon.csv --format json
check out 'r["column"] == "my; value" and r["change_points"][0]["index"] == 60'
printf '\xef\xbb\xbf' | cat - step.csv >bom.csv
analyze bom.csv --format json
check out 'r["time_column"] == "index"'
cut -d, -f2 step.csv >one.csv
analyze one.csv --format json
check out 'r["change_points"][0]["time"] is None and "time_column" not in r'
sed '1s/$/,p99/; 2,$s/$/,7/' step.csv >three.csv
analyze three.csv --format json
check out 'r["column"] == "value"'
analyze three.csv --column p99 --format json
check out 'r["column"] == "p99" and r["notes"] == ["all values are equal"]'
sed '1s/value/mean/' three.csv >three-unnamed.csv
refuses 'has 3 columns; say which one with --column NAME: index, mean, p99' "$novacore" analyze three-unnamed.csv
refuses 'there is no column "p98", did you mean "p99"?; it has index, value, p99' \
  "$novacore" analyze three.csv --column p98
sed '1s/.*/a,a/' step.csv >twice.csv
refuses '2 columns are called "a"' "$novacore" analyze twice.csv --column a
analyze step.csv --column index --format json
check out '"time_column" not in r and r["column"] == "index" and r["n"] == 120'

note 'gaps'
sed '8s/,.*/,/; 9s/,.*/,NaN/; 101s/,.*/,n\/a/' step.csv >gaps.csv
analyze gaps.csv --format json
check out 'r["n"] == 117 and r["rows"] == 120 and r["gaps"] == 3'
check out 'r["change_points"][0]["index"] == 60 and r["change_points"][0]["time"] == 1060'
check out 'r["notes"][0].startswith("3 of 120 rows have no value (index 6, 7, 99)")'
(cat one.csv; echo; echo) >trailing.csv
analyze trailing.csv --format json
check out 'r["rows"] == 120'
sed '30s/.*//' one.csv >hole.csv
analyze hole.csv --format json
check out 'r["rows"] == 120 and r["gaps"] == 1'
awk 'NR > 1 { sub(/,.*/, ",") } 1' step.csv >all-gaps.csv
analyze all-gaps.csv --format json
check out 'r["n"] == 0 and r["gaps"] == 120 and r["trend"] is None'

note 'too few, equal'
head -n 2 step.csv >single.csv
analyze single.csv --format json
check out 'r["n"] == 1 and r["change_points"] == []'
says 'n too small (1 < 20)'
(echo value; for _ in $(seq 50); do echo 3; done) >equal.csv
analyze equal.csv
says 'all values are equal'
says 'no change'

note 'times'
awk -F, 'NR > 1 { $1 = "2026-11-" $1 } 1' OFS=, step.csv >dates.csv
analyze dates.csv --format json
check out 'r["change_points"][0]["time"] == "2026-11-1060"'
awk -F, 'NR > 1 { $1 = 5000 - $1 } 1' OFS=, step.csv >falling.csv
analyze falling.csv
says 'the times in column index do not rise'

note 'what is no series'
sed '7s/,.*/,fast/' step.csv >text.csv
refuses 'text.csv, line 7: "fast" in column value is no number' "$novacore" analyze text.csv
sed '7s/,.*/,-inf/' step.csv >infinite.csv
refuses 'line 7: -inf in column value is not finite' "$novacore" analyze infinite.csv
sed '7s/,.*/,1e999/' step.csv >beyond.csv
refuses 'line 7: 1e999 in column value is not finite' "$novacore" analyze beyond.csv
sed '7s/,.*/,0x10/' step.csv >hexadecimal.csv
refuses '"0x10" in column value is no number' "$novacore" analyze hexadecimal.csv
sed '1s/.*/i;v/; s/,/;/; 7s/;.*/;1,5/' step.csv >comma.csv
refuses 'write 1.5, with a point' "$novacore" analyze comma.csv
sed '7s/$/,8/' step.csv >long.csv
refuses 'line 7 has 3 fields and the header 2' "$novacore" analyze long.csv
tail -n +2 step.csv >headless.csv
refuses 'has no header' "$novacore" analyze headless.csv
head -n 1 step.csv >empty-series.csv
refuses 'has a header and no rows' "$novacore" analyze empty-series.csv
: >empty.csv
refuses 'is empty' "$novacore" analyze empty.csv
head -c 100000 "$novacore" >binary.csv
refuses 'is no text' "$novacore" analyze binary.csv
sed '7s/,/,"/' step.csv >open.csv
refuses 'line 7: a quote is not closed' "$novacore" analyze open.csv
refuses 'cannot read missing.csv: no such file' "$novacore" analyze missing.csv
refuses 'is a directory' "$novacore" analyze .
printf 'x,v\n1,\033[31mred\033[0m\n' >escape.csv
refuses 'byte 0x1b is no text' "$novacore" analyze escape.csv
expect 4 bash -c "'$novacore' analyze step.csv >/dev/full"

note 'nothing half done'
refuses 'line 7' "$novacore" analyze text.csv --output never.json
[ -z "$(ls -d never* 2>/dev/null)" ] || fail 'a refused series left an output file'

note 'many rows, in bounded memory'
series 300000 150000 5 >many.csv
# AddressSanitizer reserves terabytes of addresses, which are no memory
limit='ulimit -v 150000;'
! grep -q __asan_init "$novacore" || limit=
expect 0 /usr/bin/env bash -c "$limit exec '$novacore' analyze many.csv --format json"
check out 'r["n"] == 300000 and len(r["change_points"]) == 1'
check out 'abs(r["change_points"][0]["index"] - 150000) <= 20'
