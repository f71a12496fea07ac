#!/bin/bash
# SPDX-License-Identifier: MIT
# test_hotspots.sh NOVACORE: what hotspots says of recordings of others, and what it refuses.
. "$(dirname "$0")/lib.sh"

note "perf script, folded stacks and pprof, by pipe and by file"
perf_text much=700 some=200 little=100 >a.perf
expect 0 "$novacore" hotspots a.perf
says "1000 samples, 0 lost"
says "70.0 % (67.1 … 72.8)"
expect 0 bash -c "'$novacore' hotspots - <a.perf"
says "much"
gzip -k a.perf
expect 0 "$novacore" hotspots a.perf.gz --threshold 15% --format csv
[ "$(wc -l <out)" = 4 ] || fail "main, much and some have more than 15 %: $(cat out)"
printf 'main;a 3\nmain;b 1\n' >b.folded
expect 0 "$novacore" hotspots b.folded --format json --threshold 0 --output b.json
python3 - <<'END' || fail "the document is not what it should be"
import json
d = json.load(open("b.json"))
assert d["schema"] == "novacore.hotspots/1" and d["samples"] == 4, d
assert [f["name"] for f in d["functions"]] == ["a", "b", "main"], d
assert d["functions"][0]["self"]["share"] == 0.75 and d["functions"][2]["total"]["value"] == 4, d
low, high = d["functions"][0]["self"]["interval"]
assert abs(low - 0.300642) < 1e-6 and abs(high - 0.954413) < 1e-6, (low, high)
END

note "by library and by process; values"
expect 0 "$novacore" hotspots a.perf --by library
says "/usr/bin/worker"
expect 0 "$novacore" hotspots a.perf --by process --value cpu
says "nanoseconds"
says "worker"

note "what has changed, and what is noise"
perf_text much=400 some=500 little=100 >c.perf
expect 0 "$novacore" hotspots c.perf --diff a.perf --format json
python3 - <<'END' || fail "the differences are not what they should be"
import json
d = json.load(open("out"))
changed = {f["name"]: f["changed"] for f in d["functions"]}
assert changed == {"much": True, "some": True, "little": False, "main": False}, changed
END
expect 0 "$novacore" hotspots a.perf --diff a.perf
! grep -q ' changed ' out || fail "a recording differs from itself"

note "hostile names reach no terminal"
printf 'main;\033[31mred\033[0m 5\n' >h.folded
expect 0 "$novacore" hotspots h.folded
! grep -q $'\033' out || fail "an escape sequence went through"

note "wrong input"
refused "takes one FILE" "$novacore" hotspots
refused "takes one FILE" "$novacore" hotspots a.perf b.folded
refused "no such file" "$novacore" hotspots nothing.perf
refused "cannot read ./recording.nova" "$novacore" hotspots .
refused "did you mean library" "$novacore" hotspots a.perf --by libary
refused "5%" "$novacore" hotspots a.perf --threshold many
refused "not \"101%\"" "$novacore" hotspots a.perf --threshold 101%
refused "not \"0\"" "$novacore" hotspots a.perf --level 0
refused "no values \"heap\"; it has samples, cpu" "$novacore" hotspots a.perf --value heap
refused "did you mean json" "$novacore" hotspots a.perf --format jsn
printf 'main;a 3\nmain;b\n' >broken.folded
refused "broken.folded:2: folded stacks end with" "$novacore" hotspots broken.folded
refused "cannot be compared" "$novacore" hotspots a.perf --value cpu --diff b.folded
head -c 100 a.perf.gz >cut.gz
refused "gzip" "$novacore" hotspots cut.gz
: >empty
refused "empty is empty" "$novacore" hotspots empty
echo "all of it holds"
