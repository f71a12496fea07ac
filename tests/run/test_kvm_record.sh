#!/bin/bash
# SPDX-License-Identifier: MIT
# A real VM in the recording of its step: among all processes of this host or, for a user, among
# those that the run has started itself.
. "$(dirname "$0")/lib.sh"
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 9)
if [ "$paranoid" -gt 2 ] && [ "$(id -u)" != 0 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: nobody may sample"
  exit 77
fi
expect 0 "$novacore" --profile dev --plugin kvm --benchmark lifecycle --record cpu --set run.samples=1 \
  --set run.warmup=0 --format json --output r.json
check r.json '[x["state"] for x in r["steps"][0]["recorded"]["recordings"]] == ["complete"]'
[ "$(id -u)" != 0 ] || check r.json 'r["steps"][0]["recorded"]["recordings"][0]["what"] == "all"'
directory=$(json r.json 'r["steps"][0]["recorded"]["recordings"][0]["directory"]')
[ -s "$directory/cpu.html" ] || fail "no flame graph was drawn"
expect 0 "$novacore" hotspots "$directory/recording.nova" --by process --threshold 0 --format json
check out 'any("qemu" in p["name"] and p["total"]["value"] > 20 for p in r["processes"])'
nothing_left
