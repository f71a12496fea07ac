#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh FUZZER SEEDS: first every seed, then new inputs for NOVACORE_FUZZ_SECONDS (default 10). What
# it finds stays in the build tree, beside the fuzzer; the seeds are only read.
set -eu
fuzzer=$1 seeds=$2
here=$(cd "$(dirname "$0")" && pwd)
export LSAN_OPTIONS="suppressions=$here/leaks:print_suppressions=0"
work=$fuzzer.work
rm -rf "$work"
mkdir -p "$work/corpus"
cd "$work"
# no seeds: an empty input is one
[ -d "$seeds" ] || { mkdir none && : >none/empty && seeds=$work/none; }
"$fuzzer" -runs=0 -timeout=10 -rss_limit_mb=2048 "$seeds" 2>&1 | tail -3
exec "$fuzzer" -max_total_time="${NOVACORE_FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 \
  -max_len=65536 -print_final_stats=1 -verbosity=0 -artifact_prefix="$work/" corpus "$seeds"
