#!/bin/bash
# SPDX-License-Identifier: MIT
# journey.sh PREFIX CMAKE KIND…: what a newcomer does with an installed novacore, for each kind: a
# project in an empty directory, configured with PREFIX alone on the paths, built without a warning,
# tested, installed into PREFIX, and used from there. Works as anybody: who may not write to PREFIX
# first uses a plugin from where it was built, then goes on with a copy of PREFIX of their own.
set -euo pipefail
prefix=$1 cmake=$2
shift 2
umask 022
unset "${!CMAKE_@}" "${!PKG_CONFIG@}" NOVACORE_PLUGIN_PATH
work=$(mktemp -d)
trap 'status=$?; rm -rf --one-file-system "$work"; exit $status' EXIT
chmod 755 "$work"
export NOVACORE_HOME=$work/home NO_COLOR=1

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
# Shows what a command says only if it fails.
quietly() { "$@" >"$work/log" 2>&1 </dev/null || { tail -n 40 "$work/log" >&2; fail "$*"; }; }

if ! [ -w "$prefix" ]; then
  cd "$work"
  quietly "$prefix/bin/novacore" plugin new benchmark here
  # its own words, as they stand there
  sed -n '/^Next:/,$p' "$work/log" | sed 1d >"$work/steps"
  grep -qF 'NOVACORE_PLUGIN_PATH=$PWD/build/lib/novacore/plugins' "$work/steps" || { cat "$work/steps"; fail 'no way to use it'; }
  quietly bash -euc "$(cat "$work/steps")"
  grep -qE '^  run .* [1-9][0-9]*/' "$work/log" || { cat "$work/log"; fail 'it measured nothing'; }
  printf '   benchmark as user %s, not installed\n' "$(id -u)"
  cp -r "$prefix" "$work/copy of prefix"
  prefix="$work/copy of prefix"
fi
novacore=$prefix/bin/novacore

for kind; do
  name=my-$kind
  mkdir "$work/$kind"
  cd "$work/$kind"
  quietly "$novacore" plugin new "$kind" "$name" .
  grep -qF 'cmake --build build' "$work/log" || fail 'no next steps'
  ! grep -rlE '@(NAME|AUTHOR|YEAR|LICENSE)@' . || fail 'a placeholder is left'
  quietly "$cmake" -B build "-DCMAKE_PREFIX_PATH=$prefix" -DCMAKE_C_FLAGS='-Wall -Wextra -Wconversion -Werror'
  quietly "$cmake" --build build
  quietly ctest --test-dir build --output-on-failure --no-tests=error
  grep -qE "Test +#1: ${kind}_$name \.+ +Passed" "$work/log" || { cat "$work/log"; fail 'its test did not run'; }
  so=build/lib/novacore/plugins/1/$kind/$name.so
  exports=$(nm -D --defined-only "$so" | awk '{ print $3 }')
  [ "$exports" = nova_plugin_entry_v1 ] || fail "$so exports $exports"
  case $kind in
  benchmark | optimizer) [ "$(wc -l <"$name.c")" -lt 50 ] || fail 'the source is not minimal any more' ;;
  esac
  quietly "$cmake" --install build --prefix "$prefix"
  quietly "$novacore" plugin info "$kind/$name"
  [ -s "$prefix/share/man/man7/novacore-$kind-$name.7" ] ||
    [ -s "$prefix/share/doc/novacore-$kind-$name/$name.md" ] || fail 'there is no manual page'
  case $kind in
  benchmark) quietly timeout -k 1 60 "$novacore" run --plugin sim --benchmark "$name" --set run.samples=2
    grep -qE '^  run .* 2/2 ' "$work/log" || { cat "$work/log"; fail 'it measured nothing'; } ;;
  hypervisor) quietly timeout -k 1 60 "$novacore" run --plugin "$name" --set run.samples=2
    grep -qE '^  start.running .* 2/2 ' "$work/log" || { cat "$work/log"; fail 'it ran no VM'; } ;;
  optimizer) ;;
  profile) quietly timeout -k 1 60 "$novacore" profile show "$name"
    quietly timeout -k 1 60 "$novacore" run --profile "$name" --plugin sim --set hypervisor.sim.clock=virtual
    grep -qF '2 s' "$work/log" || { cat "$work/log"; fail 'its goals are not judged'; } ;;
  esac
  printf '   %s as user %s\n' "$kind" "$(id -u)"
done
quietly "$novacore" plugin list --refused
grep -qF 'No plugin was refused' "$work/log" || { cat "$work/log"; fail 'a plugin was refused'; }
