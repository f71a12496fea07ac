#!/bin/bash
# SPDX-License-Identifier: MIT
# languages.sh NOVACORE CMAKE SOURCE: plugins in C++, in Rust, and in C without CMake, each with
# nothing but the installed SDK; then all of them in one run.
here=$(dirname "$(readlink -f "$0")")
cmake=$2
. "$here/../run/lib.sh"
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

note 'C with make'
cp -r "$here/pkgconfig" make
expect 0 "$prefix/bin/novacore" plugin new benchmark hello
cp hello/*.c make
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
expect 0 make -C make check install
one_export make/hello.so
unset PKG_CONFIG_PATH

note 'C++'
expect 0 "$cmake" -S "$here/cpp" -B cpp "-DCMAKE_PREFIX_PATH=$prefix"
expect 0 "$cmake" --build cpp
expect 0 ctest --test-dir cpp --output-on-failure
one_export cpp/lib/novacore/plugins/1/benchmark/cxx.so
expect 0 "$cmake" --install cpp --prefix "$prefix" --strip

note 'Rust'
expect 0 bindgen "$(sdk --variable=includedir)/novacore/sdk.h" --allowlist-type 'nova_.*' \
  --allowlist-var 'NOVA_.*' -o bindings.rs -- $(sdk --cflags)
export NOVACORE_BINDINGS=$scratch/bindings.rs
# bindgen's own tests: sizes and offsets are those of C
expect 0 rustc --edition 2021 --test -o layout "$here/rust/rusty.rs"
expect 0 ./layout
says 'test result: ok'
mkdir rust
expect 0 rustc --edition 2021 --crate-type cdylib -O -C panic=abort -C strip=symbols -C link-arg=-Wl,-z,now \
  -D warnings -o rust/rusty.so "$here/rust/rusty.rs"
one_export rust/rusty.so
expect 0 "$(sdk --variable=manifest)" rust/rusty.so
cp rust/rusty.so rust/rusty.manifest "$(sdk --variable=plugindir)/benchmark"

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
