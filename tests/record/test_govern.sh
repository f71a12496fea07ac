#!/bin/bash
# SPDX-License-Identifier: MIT
# A part of the events only is sampled when they are too many, of threads and children that begin
# later, too; and what is counted for those that are seen stands for all.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" != 0 ] && [ "$paranoid" -gt 1 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: where threads wait may not be sampled"
  exit 77
fi
switching=$(dirname "$workload")/record_switching

expect 0 "$novacore" record --off-cpu --overhead 0.1% --output a -- "$switching" 6
sleeps=$(sed -n 's/ sleeps$//p' out)
[ "$sleeps" -gt 1000 ] || { echo "SKIP: this machine is too busy: $sleeps sleeps"; exit 77; }
says 'a part of them only'
expect 0 "$novacore" recordings show a --format json
cp out about
expect 0 "$novacore" hotspots a/recording.nova --value waits --threshold 0 --format json
python3 - "$sleeps" <<'PYTHON' || fail 'what was counted does not stand for all'
import json, sys
sleeps, waits = int(sys.argv[1]), json.load(open("out"))["all"]
about = json.load(open("about"))
print(sleeps, "sleeps,", waits, "waits of", about["samples"], "samples;", about["samplers"])
# by thousands too many, if children were sampled as before and counted as if they were not
assert 0.6 < waits / sleeps < 1.6, waits / sleeps
assert about["samples"] < sleeps / 2, "all were sampled"
PYTHON
