#!/bin/bash
# SPDX-License-Identifier: MIT
# variants.sh NOVACORE CMAKE SOURCE: a plugin is a plugin however it is built, and so is the SDK.
cmake=$2 source=$(readlink -f "$3")
. "$(dirname "$(readlink -f "$0")")/../run/lib.sh"
build=$(dirname "$novacore")
umask 022
prefix=$scratch/prefix
expect 0 "$cmake" --install "$build" --prefix "$prefix" --strip

note 'whatever the build is like: several configurations, link-time optimization, another compiler'
# variant NAME OPTION…: a plugin built so is what its manifest says, and exports one function
variant() {
  local name=$1
  shift
  expect 0 "$cmake" -S "$scratch/hello" -B "$scratch/$name" "-DCMAKE_PREFIX_PATH=$prefix" "$@"
  expect 0 "$cmake" --build "$scratch/$name" --config Release
  expect 0 "$cmake" --install "$scratch/$name" --config Release --strip --prefix "$scratch/$name/prefix"
  says 'NOVACORE_PLUGIN_PATH='
  local so=$scratch/$name/prefix/lib/novacore/plugins/1/benchmark/hello.so
  [ "$(nm -D --defined-only "$so" | awk '{ print $3 }')" = nova_plugin_entry_v1 ] || fail "$name: other exports"
  grep -q "$(sha256sum "$so" | cut -d' ' -f1)" "${so%.so}.manifest" || fail "$name: other digest"
  expect 0 timeout -k 1 60 "$prefix/bin/novacore" plugin check "$so"
}
expect 0 "$prefix/bin/novacore" plugin new benchmark hello
sed -i 's/^cmake_minimum_required(.*/cmake_minimum_required(VERSION 3.5)/' hello/CMakeLists.txt
variant old-policies
variant lto -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON -DCMAKE_BUILD_TYPE=Release
variant sections '-DCMAKE_C_FLAGS=-ffunction-sections -fdata-sections' -DCMAKE_MODULE_LINKER_FLAGS=-Wl,--gc-sections
variant folders -DCMAKE_INSTALL_LIBDIR=lib64 -DCMAKE_INSTALL_MANDIR=man -DBUILD_TESTING=OFF
[ -s folders/prefix/man/man7/novacore-benchmark-hello.7 ] || fail 'its manual page is elsewhere'
[ ! -d folders/tests ] || fail 'BUILD_TESTING=OFF builds tests'
variant no-lowdown -DLOWDOWN_EXECUTABLE=
cmp no-lowdown/prefix/share/doc/novacore-benchmark-hello/hello.md hello/hello.md
! command -v ninja >/dev/null || variant multi -G 'Ninja Multi-Config'
! command -v clang >/dev/null || variant clang -DCMAKE_C_COMPILER=clang

if command -v dpkg-deb >/dev/null; then
  note 'a package: depends on the ABI, and its plugin is what its manifest says'
  cp -r hello packed
  echo 'novacore_add_package(CONTACT "Ada Lovelace <ada@example.org>")' >>packed/CMakeLists.txt
  expect 0 "$cmake" -S packed -B packed/build "-DCMAKE_PREFIX_PATH=$prefix" -DCMAKE_BUILD_TYPE=Release
  expect 0 "$cmake" --build packed/build
  (umask 077 && cd packed/build && expect 0 cpack)
  deb=$(echo packed/build/novacore-benchmark-hello_0.1-1_*.deb)
  dpkg-deb -f "$deb" Depends >depends
  grep -qE 'novacore-abi-1' depends || fail "it depends on $(cat depends)"
  dpkg-deb -x "$deb" unpacked
  so=unpacked/usr/lib/novacore/plugins/1/benchmark/hello.so
  grep -q "$(sha256sum "$so" | cut -d' ' -f1)" "${so%.so}.manifest" || fail 'packed is another file'
  ! find unpacked/usr -perm /022 | grep . || fail 'others could write to these'
  ! find unpacked/usr ! -perm -004 | grep . || fail 'others could not read these'
  [ -s unpacked/usr/share/doc/novacore-benchmark-hello/copyright ] || fail 'it has no licence'
  echo 'novacore_add_package()' >>packed/CMakeLists.txt
  expect 1 "$cmake" -S packed -B packed/build
  says 'give CONTACT'
fi

note 'the SDK builds and installs without the rest, where a distribution has its libraries'
libdir=lib/$(cc -dumpmachine)
expect 0 "$cmake" -S "$source/sdk" -B alone -DCMAKE_BUILD_TYPE=Release "-DCMAKE_INSTALL_LIBDIR=$libdir"
expect 0 "$cmake" --build alone --parallel 2
expect 0 "$cmake" --install alone --prefix "$scratch/alone/prefix"
expect 0 "$cmake" --install "$build" --prefix "$scratch/sdk" --component sdk
# but for the manual pages, and files named after the kind of build
files() { (cd "$1" && find . -type f ! -path '*/man/*' ! -name 'NovacoreSDK*-*.cmake' | sed "s,$libdir,lib," | sort); }
diff <(files alone/prefix) <(files sdk) || fail 'it installs something else'

note 'a plugin with that alone: no novacore is needed to build and to test it'
expect 0 "$cmake" -S hello -B with-alone "-DCMAKE_PREFIX_PATH=$scratch/alone/prefix"
expect 0 "$cmake" --build with-alone
expect 0 ctest --test-dir with-alone --output-on-failure --no-tests=error
says '1/1 Test #1: benchmark_hello'
export PKG_CONFIG_PATH=$scratch/alone/prefix/$libdir/pkgconfig
for variable in includedir templatedir versionscript manifest testhost; do
  [ -e "$(pkg-config --variable=$variable novacore-sdk)" ] || fail "pkg-config: $variable leads nowhere"
done
