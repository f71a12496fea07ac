# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of whole runs share. Sourced with $1 = the novacore binary. Everything that a test
# writes stands below $scratch, which is removed at its end.
set -euo pipefail
novacore=$(readlink -f "$1")
scratch=$(mktemp -d /tmp/nct-XXXXXX)
chmod 755 "$scratch"
# A test that failed in the middle leaves no VM behind either: those whose disks are below $scratch.
leave() {
  local status=$? left
  left=$(pgrep -f "^[^ ]*qemu-system-[^ ]* .*$scratch/" || true)
  # shellcheck disable=SC2086 # numbers, one word each
  [ $status = 0 ] || [ -z "$left" ] || kill -9 $left
  rm -rf --one-file-system "$scratch"
  exit $status
}
trap leave EXIT
export NOVACORE_HOME=$scratch/home NO_COLOR=1
cd "$scratch"

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
note() { printf -- '-- %s\n' "$*"; }

# expect CODE COMMAND…: runs it, output to $scratch/out and …/err, and checks the exit code.
expect() {
  local wanted=$1 code=0
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || code=$?
  [ $code = "$wanted" ] || {
    sed 's/^/  out: /' "$scratch/out" | tail -n 20 >&2
    sed 's/^/  err: /' "$scratch/err" | tail -n 20 >&2
    fail "exit code $code, not $wanted: $*"
  }
}
# says TEXT: the last command's stderr or stdout contains it (a fixed string).
says() {
  grep -qF -- "$1" "$scratch/err" "$scratch/out" || {
    sed 's/^/  err: /' "$scratch/err" >&2
    fail "nothing says \"$1\""
  }
}
# json FILE EXPRESSION: prints what the Python expression over `r`, the document, gives.
json() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }
# check FILE EXPRESSION: the expression is true.
check() { [ "$(json "$1" "$2")" = True ] || fail "not so in $1: $2"; }
nothing_left() {
  expect 0 "$novacore" clean --dry-run
  says "0 objects of dead runs"
}
# with_plugins DIRECTORY: a prefix of its own with the simulator, a profile and the benchmarks there,
# because NOVACORE_PLUGIN_PATH is not looked at with privileges. $novacore is the program in it.
with_plugins() {
  local kind
  of_build=$(dirname "$novacore")/lib/novacore/plugins/1
  mkdir -p "$scratch/prefix/bin"
  cp "$novacore" "$scratch/prefix/bin/"
  for kind in benchmark/lifecycle hypervisor/sim profile/development; do
    mkdir -p "$scratch/prefix/lib/novacore/plugins/1/${kind%/*}"
    cp "$of_build/$kind".* "$scratch/prefix/lib/novacore/plugins/1/${kind%/*}/"
  done
  cp "$1"/1/benchmark/* "$scratch/prefix/lib/novacore/plugins/1/benchmark/"
  novacore=$scratch/prefix/bin/novacore
}
