# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A stranger's plugin: from the template, with the installed SDK alone; as files and as a package.
. /srv/test/lib.sh

note "the SDK with what it recommends"
apt install novacore-sdk-dev novacore-hypervisor-sim make
installed novacore || fail "the core is not recommended"
no_package_like 'libvirt'

note "a project from the template is built, tested and checked"
expect 0 novacore plugin new benchmark hello hello
cd hello
expect 0 cmake -S . -B build -DCMAKE_INSTALL_PREFIX=/usr
expect 0 cmake --build build
expect 0 ctest --test-dir build --output-on-failure
expect 0 novacore plugin check "$(find "$PWD/build" -name hello.so)"
[ "$(nm -D --defined-only "$(find build -name hello.so)" | wc -l)" = 1 ] || fail "more than one export"

note "installed beside ours it runs"
expect 0 cmake --install build --strip
nothing_refused
expect 0 novacore run --plugin sim --benchmark hello
says "complete"
xargs rm -f <build/install_manifest.txt
rm -f /usr/lib/novacore/plugins/1/benchmark/hello.*

note "as a Debian package, with dh_novacore"
apt install --no-install-recommends debhelper build-essential
mkdir -p debian/source
printf '3.0 (native)\n' >debian/source/format
printf 'novacore-benchmark-hello (1) unstable; urgency=low\n\n  * First.\n\n -- Nobody <nobody@example.org>  Fri, 20 Nov 2026 12:00:00 +0000\n' >debian/changelog
cat >debian/control <<'END'
Source: novacore-benchmark-hello
Maintainer: Nobody <nobody@example.org>
Build-Depends: debhelper-compat (= 13), cmake, dh-sequence-novacore
Standards-Version: 4.6.2

Package: novacore-benchmark-hello
Architecture: any
Depends: ${misc:Depends}, ${novacore:Depends}, ${shlibs:Depends}
Description: says hello
END
printf '#!/usr/bin/make -f\n%%:\n\tdh $@ --buildsystem=cmake\n' >debian/rules
chmod 755 debian/rules
rm -rf build
expect 0 dpkg-buildpackage -b -us -uc
apt install ../novacore-benchmark-hello_1_*.deb
dpkg-query -W -f='${Depends}\n' novacore-benchmark-hello | grep -q 'novacore-abi-1' || fail "it does not depend on the ABI"
nothing_refused
expect 0 novacore run --plugin sim --benchmark hello
says "complete"
apt purge --autoremove 'novacore*'
[ ! -e /usr/lib/novacore ] || fail "left: $(find /usr/lib/novacore)"
