#!/bin/bash
# SPDX-License-Identifier: MIT
# kill -9 of the worker costs its step, not the run; the run can be resumed to the end.
. "$(dirname "$0")/lib.sh"

"$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=real --set run.samples=40 \
  --set lifecycle.concurrency=1,2 --format json --output r.json >out 2>err </dev/null &
parent=$!
for ((tenths = 0; tenths < 100; tenths++)); do
  worker=$(pgrep -P "$parent" || true)
  [ -n "$worker" ] && break
  sleep 0.1
done
sleep 0.5
worker=$(pgrep -P "$parent") || fail "there is no worker"
kill -9 "$worker"
code=0
wait "$parent" || code=$?
[ $code = 4 ] || { cat err >&2; fail "exit code $code, not 4"; }
says "crashed"
check r.json 'r["steps"][0]["state"] == "lost" and "crashed" in r["steps"][0]["why"]'
check r.json 'r["steps"][1]["state"] == "done" and r["steps"][1]["counts"]["attempted"] == 40'
id=$(json r.json 'r["run"]["id"]')
nothing_left
