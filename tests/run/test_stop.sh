#!/bin/bash
# SPDX-License-Identifier: MIT
# Ctrl-C: VMs are deleted, results are kept, 130; then the run is resumed. SIGTERM: 143.
. "$(dirname "$0")/lib.sh"

for signal in INT TERM; do
  # Not by "&" alone: the shell would have it ignore SIGINT.
  python3 -c 'import os,signal,sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=real --set run.samples=60 \
    --format json --output r.json >out 2>err </dev/null &
  parent=$!
  sleep 1.5
  kill -$signal "$parent"
  code=0
  wait "$parent" || code=$?
  wanted=130
  [ $signal = TERM ] && wanted=143
  [ $code = $wanted ] || { cat err >&2; fail "exit code $code after SIG$signal, not $wanted"; }
  says "--resume"
  check r.json 'r["run"]["state"] == "interrupted"'
  nothing_left
  expect 0 "$novacore" status
  says "interrupted"
  expect 0 "$novacore" run --resume last --format json --output r.json
  check r.json 'r["run"]["state"] == "complete"'
  check r.json 'all(m["n"] == 60 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'
done
expect 0 "$novacore" status
says "Nothing is running"
