#!/bin/bash
# SPDX-License-Identifier: MIT
# kill -9 of the parent at random moments, then --resume: everything is there once, nothing is left.
. "$(dirname "$0")/lib.sh"

start() {
  "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=real --set run.samples=30 \
    --set run.warmup=1 --set lifecycle.concurrency=2 --format json --output r.json "$@" \
    >out 2>err </dev/null &
  parent=$!
}
# Exactly one attempt of each replicate counts, and each has all of its VMs.
whole() {
  check "$1" 'r["run"]["state"] == "complete"'
  check "$1" 'all(s["state"] == "done" for s in r["steps"])'
  check "$1" 'sorted(x["replicate"] for s in r["steps"] for x in s["replicates"] if x["state"] == "done") == list(range(15))'
  check "$1" 'all(m["n"] == 30 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'
  check "$1" 'len({(x[0], x[1], x[3], x[4], x[8]) for s in r["steps"] for x in s["samples"]["rows"]}) == sum(len(s["samples"]["rows"]) for s in r["steps"])'
}

kills=0
for round in 1 2 3 4; do
  start
  sleep "0.$((RANDOM % 9 + 1))"
  # Killed, resumed and killed again, until a resume gets to the end.
  for again in 1 2 3; do
    worker=$(pgrep -P "$parent" || true)
    kill -9 "$parent" 2>/dev/null || break
    wait "$parent" 2>/dev/null || true
    kills=$((kills + 1))
    for ((tenths = 0; tenths < 50; tenths++)); do
      [ -n "$worker" ] && kill -0 "$worker" 2>/dev/null || break
      sleep 0.1
    done
    [ -z "$worker" ] || ! kill -0 "$worker" 2>/dev/null || fail "the worker $worker outlived its parent"
    "$novacore" results list --format json >list.json 2>/dev/null
    [ "$(json list.json 'len(r["runs"] if isinstance(r, dict) else r)')" -ge "$round" ] || break # killed before it began
    [ $again = 3 ] && break
    "$novacore" run --resume last --format json --output r.json >out 2>err </dev/null &
    parent=$!
    sleep "0.$((RANDOM % 9 + 1))"
  done
  "$novacore" results list --format json >list.json
  if [ "$(json list.json 'len(r["runs"] if isinstance(r, dict) else r)')" -lt "$round" ]; then
    expect 0 "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=real --set run.samples=30 \
      --set run.warmup=1 --set lifecycle.concurrency=2 --format json --output r.json
  elif kill -0 "$parent" 2>/dev/null; then
    wait "$parent" || fail "the resumed run failed"
  else
    "$novacore" run --resume last --format json --output r.json >out 2>err </dev/null ||
      grep -q "is complete" err || { cat err >&2; fail "could not be resumed"; }
    [ -s r.json ] || "$novacore" results show last --format json >r.json
  fi
  whole r.json
  rm -f r.json
  nothing_left
done
note "$kills kills"
[ "$kills" -ge 4 ] || fail "too few kills to say anything: $kills"

note "a complete run is not resumed"
expect 2 "$novacore" run --resume last
says "there is nothing to resume"
