#!/bin/bash
# SPDX-License-Identifier: MIT
# test_pprof.sh NOVACORE TO_PPROF: Go's own pprof reads what is written, and novacore reads what it writes.
. "$(dirname "$0")/lib.sh"
to_pprof=$(realpath "$2")
export HOME=$scratch

perf_text much=700 some=200 little=100 >a.perf
"$to_pprof" a.perf >a.pb.gz || fail "no pprof"

note "what Go's pprof says of it"
expect 0 go tool pprof -top -unit=ns a.pb.gz
says "Type: samples"
expect 0 go tool pprof -top -sample_index=samples a.pb.gz
grep -Eq '^ *700 +70\.00% +70\.00% +700 +70\.00% +much$' out || { cat out; fail "not 700 of much"; }
grep -Eq '^ *0 +0% +100% +1000 +100% +main$' out || { cat out; fail "not all below main"; }
expect 0 go tool pprof -top -sample_index=cpu a.pb.gz
says "10.10s"
expect 0 go tool pprof -tags a.pb.gz
says "worker"
expect 0 go tool pprof -traces a.pb.gz

note "what Go's pprof writes"
expect 0 go tool pprof -proto -output=b.pb.gz a.pb.gz
expect 0 "$novacore" hotspots b.pb.gz
says "70.0 % (67.1 … 72.8)"
says "/usr/bin/worker"
echo "all of it holds"
