#!/bin/bash
# SPDX-License-Identifier: MIT
# Where memory is touched and allocated, and how much is resident.
. "$(dirname "$0")/lib.sh"
allocating=$(dirname "$workload")/record_allocating many=$(dirname "$workload")/record_many

# split FILE: of the bytes of its three functions, 70, 20 and 10 parts
split() {
  expect 0 "$novacore" hotspots "$1" --value allocated --threshold 0 --format json --output spots.json
  python3 - <<'PYTHON' || fail "the allocations in $1 are not those of the program"
import json
document = json.load(open("spots.json"))
total = {f["name"]: f["total"]["value"] for f in document["functions"]}
got = [total["allocate_" + name] for name in ("seventy", "twenty", "ten")]
shares = [value / sum(got) for value in got]
print(document["value"], shares, sum(got) / 1e6, "MB")
assert document["value"] == {"type": "allocated", "unit": "bytes"}, document["value"]
for share, wanted in zip(shares, (0.7, 0.2, 0.1)):
    assert abs(share - wanted) < 0.08, shares
PYTHON
}

note 'faults, allocations, and memory over time'
expect 0 "$novacore" record --memory --output a -- "$allocating" 4 64
says 'samples of page faults'
says 'resident'
expect 0 "$novacore" recordings show a --format json
check out 'r["kinds"] == ["memory"] and r["lanes"][0] == "faults"'
check out 'max(bytes for ns, bytes in r["resident"]) > 60 << 20 and len(r["resident"]) >= 3'
expect 0 "$novacore" hotspots a/recording.nova --value faulted --threshold 0 --format json --output spots.json
python3 - <<'PYTHON' || fail 'the faults are not those of the program'
import json
total = {f["name"]: f["total"] for f in json.load(open("spots.json"))["functions"]}
print(total["touch"])
# 64 MiB by pages, or by huge ones; the rest of it is what a program's start costs
assert total["touch"]["share"] > 0.5 or total["touch"]["value"] >= 32 * 4096, total["touch"]
PYTHON
grep -q touch a/faults.html || fail 'the picture of the faults does not name touch'

if [ "$(id -u)" = 0 ]; then
  note 'allocations by their bytes'
  expect 0 "$novacore" recordings show a --format json
  if [ "$(json out '"allocations" in r["lanes"]')" = True ]; then
    split a/recording.nova
    [ -s a/allocations.pb.gz ] && [ -s a/allocations.folded ] || fail "files are missing: $(ls a)"
    grep -q 'main;allocate_ten;' a/allocations.folded || fail "callers are missing: $(head -3 a/allocations.folded)"
    note 'of a process that runs, and of what it executes'
    "$allocating" 60 &
    running=$!
    sleep 0.3
    expect 0 "$novacore" record --memory --cpu --pid $running --duration 4s --output b
    kill $running
    wait $running || true
    split b/recording.nova
    expect 0 "$novacore" record --memory --output c -- sh -c "'$allocating' 5; true"
    split c/recording.nova
    note 'what many small ones cost is kept low'
    expect 0 "$novacore" record --memory --output d -- "$many" 4
    expect 0 "$novacore" recordings show d --format json
    check out 'r["overhead"]["host"] < 0.1' # it was lowered, however slow the machine is
  else
    python3 -c 'import json; print("allocations:", json.load(open("out"))["missing"])'
  fi
fi

note 'its own memory stays below what it promises, with very many stacks'
expect 0 "$novacore" record --cpu --memory --freq 20000 --overhead 90% --output e -- "$many" 5
expect 0 "$novacore" recordings show e --format json
python3 -c 'import json; r = json.load(open("out")); print(r["memory_bytes"] >> 20, "MiB,", r["samples"], "samples")'
check out 'r["memory_bytes"] < 64 << 20'

if [ "$(id -u)" = 0 ] && [ "$paranoid" -le 2 ] && command -v setpriv >/dev/null; then
  note 'an ordinary user has the faults, and is told what allocations need'
  install -m 755 "$novacore" "$allocating" .
  mkdir -p "$NOVACORE_HOME" of-user
  chmod 777 "$NOVACORE_HOME" of-user
  expect 0 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
    ./novacore record --memory --output of-user/a -- ./record_allocating 1 16
  says 'missing'
  says 'allocations'
  says 'touch'
fi
