# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by old.sh and future.sh, with NOVACORE MANIFEST-TOOL CC SOURCE: a prefix with the simulator, to
# which plugins are added that a compiler makes from given headers, and nothing of this tree's build.
source=$(readlink -f "$4") manifest_tool=$(readlink -f "$2") cc=$3
. "$source/tests/run/lib.sh"
umask 022
with_plugins "$(dirname "$novacore")/lib/novacore/plugins"
plugins=$scratch/prefix/lib/novacore/plugins/1

# make_plugin KIND NAME HEADERS SOURCE OPTION…
make_plugin() {
  local file=$plugins/$1/$2.so headers=$3 code=$4
  mkdir -p "$plugins/$1"
  shift 4
  "$cc" -std=c17 -O1 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -I"$headers" "$@" -shared -Wl,-z,now -Wl,-z,relro \
    -Wl,-z,defs "-Wl,--version-script=$source/sdk/cmake/plugin.map" -o "$file" "$code"
}

# checked FILE: `plugin check` finds nothing that breaks the contract.
checked() {
  "$novacore" plugin check "$1" --json >check.json 2>err </dev/null || {
    json check.json "[(c['name'], c['why']) for c in r['checks'] if c['result'] == 'failed']" >&2; fail "plugin check $1"; }
  check check.json "r['counts']['failed'] == 0 and r['counts']['passed'] > 5"
}

# runs ARGUMENT…: a run of two samples is complete, and measured something.
runs() {
  expect 0 "$novacore" run "$@" --set run.samples=2 --set run.warmup=0 --format json
  check out 'r["run"]["state"] == "complete" and r["steps"] and all(s["state"] == "done" and s["counts"]["succeeded"] == s["counts"]["attempted"] > 0 for s in r["steps"])'
}
