# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of core/profiler's commands share.
. "$(dirname "${BASH_SOURCE[0]}")/../run/lib.sh"

# refused WORDS COMMAND…: exit 2, says WORDS, and nothing on standard output
refused() {
  local words=$1
  shift
  expect 2 "$@"
  says "$words"
  [ ! -s out ] || fail "wrote to standard output: $*"
}
# as perf script prints it: SAMPLES of each of the functions FUNCTION=COUNT…
perf_text() {
  python3 - "$@" <<'END'
import sys
for pair in sys.argv[1:]:
    name, count = pair.rsplit("=", 1)
    for i in range(int(count)):
        print(f"worker  41/42 [001] {i}.000000:   10101010 cpu-clock:pppH: ")
        print(f"\tffffffff81000010 {name}+0x10 (/usr/bin/worker)")
        print("\t            5000 main+0x1 (/usr/bin/worker)\n")
END
}
