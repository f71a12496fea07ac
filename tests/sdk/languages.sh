#!/bin/bash
# SPDX-License-Identifier: MIT
# languages.sh NOVACORE CMAKE: the installed examples, in C++, in Rust, and in C without CMake, each
# built with nothing but the installed SDK; then all of them in one run.
cmake=$2
. "$(dirname "$(readlink -f "$0")")/../run/lib.sh"
build=$(dirname "$novacore")
umask 022
# Debian's, not what somebody has put in front of them.
export PATH=/usr/bin:/bin:$PATH
for tool in rustc bindgen pkg-config; do
  command -v $tool >/dev/null || { echo "skipped: $tool is not installed (./dev deps)"; exit 77; }
done
expect 0 "$cmake" --install "$build" --prefix "$scratch/prefix" --strip
prefix=$scratch/prefix
unset "${!CMAKE_@}" "${!PKG_CONFIG@}"
sdk() { PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config novacore-sdk "$@"; }
one_export() {
  local exports
  exports=$(nm -D --defined-only "$1" | awk '{ print $3 }')
  [ "$exports" = nova_plugin_entry_v1 ] || fail "$1 exports $exports"
}

note 'pkg-config: nothing to link, everything below the prefix'
[ -z "$(sdk --libs | tr -d ' ')" ] || fail "libs: $(sdk --libs)"
[ "$(readlink -f "$(sdk --variable=plugindir)")" = "$prefix/lib/novacore/plugins/1" ] || fail 'another plugindir'
[ -d "$(sdk --variable=templatedir)/benchmark" ] || fail 'no templates'
expect 0 sdk --exists

examples=$prefix/share/doc/novacore-sdk/examples
[ -d "$examples" ] || fail 'no examples are installed'
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

note 'C with make'
cp -r "$examples/make" make
expect 0 "$prefix/bin/novacore" plugin new benchmark hello
cp hello/*.c make
expect 0 make -C make check install CFLAGS='-O2 -Wall -Wextra -Werror'
one_export make/hello.so
expect 0 make -C make install DESTDIR="$scratch/root"
[ -s "$scratch/root$prefix/lib/novacore/plugins/1/benchmark/hello.manifest" ] || fail 'DESTDIR is not heeded'

note 'Rust'
cp -r "$examples/rust" rust
expect 0 make -C rust check
says 'test result: ok'
expect 0 make -C rust install
one_export rust/rusty.so
unset PKG_CONFIG_PATH

note 'C++'
expect 0 "$cmake" -S "$examples/cpp" -B cpp "-DCMAKE_PREFIX_PATH=$prefix"
expect 0 "$cmake" --build cpp
expect 0 ctest --test-dir cpp --output-on-failure
one_export cpp/lib/novacore/plugins/1/benchmark/cxx.so
expect 0 "$cmake" --install cpp --prefix "$prefix" --strip

note 'none is refused, and all measure'
expect 0 "$prefix/bin/novacore" plugin list --json
check out "r['refused'] == []"
check out "{'cxx', 'rusty', 'hello'} <= {p['name'] for p in r['plugins']}"
for so in make/hello.so cpp/lib/novacore/plugins/1/benchmark/cxx.so rust/rusty.so; do
  expect 0 timeout -k 1 120 "$prefix/bin/novacore" plugin check "$so"
done
expect 0 timeout -k 1 120 "$prefix/bin/novacore" run --plugin sim --benchmark cxx --benchmark rusty \
  --benchmark hello --set run.samples=6 --set hypervisor.sim.clock=virtual --format json
check out "[m['name'] for s in r['steps'] for m in s['metrics']] == ['cxx.off', 'rusty.create', 'hello.run']"
check out "all(s['counts']['succeeded'] == 6 and s['counts']['failed'] == 0 for s in r['steps'])"
check out "all(m['value'] > 0 for s in r['steps'] for m in s['metrics'])"

note 'their failures are failures, not figures'
expect 4 timeout -k 1 120 "$prefix/bin/novacore" run --plugin sim --benchmark rusty --set run.samples=6 \
  --set hypervisor.sim.clock=virtual --set hypervisor.sim.fail=create:1 --format json
check out "r['steps'][0]['counts']['failed'] == 6 and r['steps'][0]['counts']['succeeded'] == 0"
