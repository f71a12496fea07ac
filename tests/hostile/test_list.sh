# SPDX-License-Identifier: MIT
# test_list.sh NOVACORE PLUGINS: `novacore plugin` on the command line, from an installed prefix, and
# for an ordinary user from NOVACORE_PLUGIN_PATH.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
hostile=$2 tree=$(readlink -f "$here/../..") built=$novacore
mkdir -p prefix/bin prefix/lib/novacore
cp "$novacore" prefix/bin/
cp -r "$hostile" prefix/lib/novacore/plugins
novacore=$scratch/prefix/bin/novacore
# The directory is not a plugin of theirs; group-writable is others' for root.
chmod -R go-w prefix

note "list: accepted and refused"
expect 0 "$novacore" plugin list
says "benchmark  good"
for code in no-note exports lazy-binding missing-library; do says "  $code "; done
expect 0 "$novacore" plugin list --refused
! grep -q "^benchmark" out || fail "--refused shows accepted plugins"
expect 0 "$novacore" plugin list --kind profile
says "No profile plugin was found"
expect 0 "$novacore" plugin list --json
check out "r['schema'] == 'novacore.plugins/1' and r['abi']['major'] == 1"
check out "'good' in [p['name'] for p in r['plugins']]"
check out "all(p['kind'] == 'benchmark' and len(p['sha256']) == 64 for p in r['plugins'])"
check out "sorted({x['code'] for x in r['refused']}) == ['exports', 'lazy-binding', 'library-path', 'missing-library', 'no-note']"

note "info"
expect 0 "$novacore" plugin info good
says "--set benchmark.good.NAME=VALUE"
says "good.value"
expect 0 "$novacore" plugin info benchmark/good --format json
check out "r['parameters'][0]['name'] == 'count' and r['parameters'][0]['default'] == '1'"
check out "r['metrics'][0]['unit'] == '1' and r['ops'] == ['create', 'replicate', 'destroy']"
expect 5 "$novacore" plugin info lazy
says "(lazy-binding)"
expect 3 "$novacore" plugin info missing-library
says "novahostile7"

note "doctor says what to do about a refused plugin, not only what it is called"
"$novacore" doctor >out 2>err </dev/null || true
grep -A 1 'missing-library.so.*(missing-library)' out | grep -q -- '-> install the package novahostile7' ||
  { cat out >&2; fail "doctor does not say what to install"; }
"$novacore" doctor --format json >out 2>err </dev/null || true
check out "all(len(f['fix']) > 20 for f in r['findings'] if f['subject'] == 'plugin')"

note "wrong usage names the right one"
expect 2 "$novacore" plugin info godd
says 'did you mean `good`'
expect 2 "$novacore" plugin
expect 2 "$novacore" plugin info
expect 2 "$novacore" plugin lists
says "did you mean `list`"
expect 2 "$novacore" plugin list --kind driver
says "hypervisor"
expect 2 "$novacore" plugin list --format yaml
expect 2 "$novacore" plugin list --refuse=1
expect 2 "$novacore" plugin info a/b
expect 2 "$novacore" plugin list extra
expect 0 "$novacore" plugin --help
says "NOVACORE_PLUGIN_PATH"

note "what an ordinary user names is found, what root names is not"
if [ "$(id -u)" = 0 ]; then
  expect 0 env NOVACORE_PLUGIN_PATH="$hostile" "$built" plugin list
  says "is ignored"
  ! grep -q "  good  " out || fail "a privileged process searched NOVACORE_PLUGIN_PATH"
fi
expect 0 env NOVACORE_PLUGIN_PATH="$hostile" NOVACORE_HOME= "$tree/tests/as-user" "$built" plugin list
says "benchmark   good"
# what is named twice is no double of itself
expect 0 env NOVACORE_PLUGIN_PATH="$hostile:$hostile/." NOVACORE_HOME= "$tree/tests/as-user" "$built" plugin list
! grep -q " duplicate " out || fail "a directory that is named twice is searched twice"

note "who has more rights than the caller is privileged, too"
if [ "$(id -u)" != 0 ] || findmnt -no OPTIONS -T "$scratch" | grep -q nosuid; then
  echo "   not tried: it needs root, and a file system that takes set-group-ID"
else
  cp "$novacore" prefix/bin/more
  chgrp 12345 prefix/bin/more
  chmod g+s prefix/bin/more
  expect 0 env NOVACORE_PLUGIN_PATH="$hostile" "$tree/tests/as-user" "$scratch/prefix/bin/more" plugin list
  says "is ignored"
  says "benchmark  good" # of the prefix
  expect 0 env "$tree/tests/as-user" "$scratch/prefix/bin/more" plugin info good
  says "trusted   prefix"
fi
