#!/bin/bash
# SPDX-License-Identifier: MIT
# Recordings of before there were lanes open as they did: made by novacore 0.1 of workload.c and
# waiting.c, one second each.
recordings=$(cd "$(dirname "$0")" && pwd)/recordings
. "$(dirname "$0")/lib.sh"

expect 0 "$novacore" hotspots "$recordings/cpu-1.nova" --threshold 0 --format json
check out 'r["value"] == {"type": "samples", "unit": "count"} and r["samples"] > 50'
check out 'max(r["functions"], key=lambda f: f["self"]["share"])["name"] == "seventy"'
expect 0 "$novacore" recordings show "$recordings/cpu-1.nova"
says 'at 99 Hz'
says 'seventy'

expect 0 "$novacore" hotspots "$recordings/off-cpu-1.nova" --threshold 0 --format json
check out 'r["value"] == {"type": "off-cpu", "unit": "nanoseconds"} and r["samples"] == 0'
check out '0.5 < {f["name"]: f for f in r["functions"]}["wait_seventy"]["total"]["share"] < 0.75'
expect 0 "$novacore" recordings show "$recordings/off-cpu-1.nova"
says 'waits that have begun'
expect 0 "$novacore" flame "$recordings/off-cpu-1.nova" --value waits --output old.svg
grep -q wait_ten old.svg || fail 'the drawing does not name wait_ten'
expect 2 "$novacore" hotspots "$recordings/cpu-1.nova" --value lock
says 'it has samples, cpu'
