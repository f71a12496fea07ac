# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of names share. Sourced with NOVACORE WORKLOAD INLINED LIBRARY OPENS BREAKS.
# shellcheck disable=SC2034 # not every test takes all of them
workload=$(readlink -f "$2") inlined=$(readlink -f "$3") library=$(readlink -f "$4")
opens=$(readlink -f "$5") breaks=$(readlink -f "$6")
. "$(dirname "${BASH_SOURCE[0]}")/../run/lib.sh"
export XDG_CACHE_HOME=$scratch/cache # debuginfod's own, too

paranoid=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 9)
if [ "$paranoid" -gt 2 ] && [ "$(id -u)" != 0 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: nobody may sample"
  exit 77
fi

# split PROGRAM: takes what debuggers need into PROGRAM.dbg
split() {
  objcopy --only-keep-debug "$1" "$1.dbg"
  strip --strip-all "$1"
}
deep=';outer::Machine::turn(unsigned long volatile&);deep<100000>_\[i\] [0-9]*$' # what only DWARF knows

# What was found once would be found again.
forget() { rm -rf "$NOVACORE_HOME/cache"; }

# at_end COMMAND: also at the test's end, whose status stays what it is
at_end() { trap "status=\$?; set +e; $*; (exit \$status); leave" EXIT; }
