#!/bin/bash
# SPDX-License-Identifier: MIT
# A program of others, in the words of the manual: every file that is written names what stress-ng does.
. "$(dirname "$0")/lib.sh"
command -v stress-ng >/dev/null || { echo 'SKIP: no stress-ng'; exit 77; }
inside='(stress-ng|stress_[a-z0-9_]+)' # its file has names, or was stripped of them: "stress-ng+0x3e10"

began=$(date +%s)
expect 0 "$novacore" record --duration 10s --output a -- stress-ng --cpu 1 --timeout 8
[ $(($(date +%s) - began)) -lt 60 ] || fail 'eight seconds take more than a minute'
says 'overhead'
grep -Eq '^overhead +[0-9]+\.[0-9]+ % of this host' out || fail 'the overhead is no figure'
for file in recording.nova cpu.pb.gz cpu.folded cpu.html cpu.svg; do
  [ -s "a/$file" ] || fail "there is no $file"
done
python3 - <<'PYTHON' || fail 'a file is not what it should be'
import gzip, re, xml.etree.ElementTree as xml
inside = re.compile(r"stress-ng\+0x[0-9a-f]+|stress_\w+")
assert inside.search(gzip.open("a/cpu.pb.gz").read().decode("latin-1")), "pprof"
folded = [line.rsplit(" ", 1) for line in open("a/cpu.folded", encoding="utf-8")]
own = sum(int(count) for stack, count in folded if inside.search(stack))
assert own > 0.3 * sum(int(count) for _, count in folded), "%d samples are in its functions" % own
titles = [t.text for t in xml.parse("a/cpu.svg").iter("{http://www.w3.org/2000/svg}title")]
assert any(inside.match(t) for t in titles), titles[:5]
page = open("a/cpu.html", encoding="utf-8").read()
assert inside.search(page.split('id="data"')[1]) and inside.search(page.split("<tbody>")[1].split("</tbody>")[0]), "page"
PYTHON
for file in recording.nova cpu.pb.gz; do
  expect 0 "$novacore" hotspots "a/$file" --by library --threshold 0 --format json
  check out 'sum(l["self"]["share"] for l in r["libraries"] if "stress-ng" in l["name"] or "/libm" in l["name"]) > 0.8'
  expect 0 "$novacore" hotspots "a/$file" --threshold 1% --format json
  check out 'sum("stress-ng" in f["library"] for f in r["functions"]) >= 3 and all(f["self"]["interval"] for f in r["functions"])'
  check out 'r["samples"] > 100 and r["lost"] == 0' # eight seconds of a CPU that others may have, too
done
expect 0 "$novacore" hotspots a/recording.nova
grep -Eq "$inside" out || fail "no function of stress-ng: $(head -5 out)"
expect 0 "$novacore" hotspots a/recording.nova --by process
says 'stress-ng'
expect 0 "$novacore" recordings show a
says 'overhead'
