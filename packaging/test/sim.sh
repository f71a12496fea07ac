# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The core, the simulator and what is recommended: it runs, and brings no driver's libraries.
. /srv/test/lib.sh
files >before

note "core and simulator, with what they recommend"
apt install novacore novacore-hypervisor-sim
installed novacore-profiles || fail "the profiles are not recommended"
installed novacore-benchmark-lifecycle || fail "the benchmark is not recommended"
no_package_like 'libvirt|libcurl|qemu' # libxml2 comes with what hwloc recommends
! ldd /usr/bin/novacore | grep -E 'libvirt|libcurl|libxml2|not found' || fail "the core links a driver's library"

note "version, plugins, a short run as root and as a user"
expect 0 novacore --version
grep -qF "$(dpkg-query -W -f='${Version}' novacore | sed 's/-.*//')" out || fail "another version: $(cat out)"
nothing_refused
expect 0 novacore run --plugin sim --benchmark lifecycle --set run.samples=2
says "complete"
useradd --create-home somebody
expect 0 setpriv --reuid=somebody --regid=somebody --init-groups env HOME=/home/somebody \
  novacore run --plugin sim --benchmark lifecycle --set run.samples=2
says "complete"
[ -d /var/lib/novacore ] || fail "root's results are not in /var/lib/novacore"

note "manual pages and completion"
apt install --no-install-recommends man-db bash-completion
for page in $(dpkg -L novacore novacore-hypervisor-sim novacore-benchmark-lifecycle novacore-profiles |
  sed -n 's,.*/man./\(.*\)\.gz$,\1,p'); do
  expect 0 env MANROFFSEQ= man --warnings "/usr/share/man/man${page##*.}/$page.gz"
  [ ! -s err ] || fail "man $page says: $(cat err)"
done
# shellcheck disable=SC2016
expect 0 bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader novacore
  COMP_LINE="novacore run --plugin s" COMP_POINT=23; _novacore; echo "${COMPREPLY[*]}"'
says "sim"

note "debug symbols are found by the build id and change no digest"
apt install --no-install-recommends elfutils novacore-dbgsym novacore-hypervisor-sim-dbgsym
nothing_refused
for file in /usr/bin/novacore /usr/lib/novacore/plugins/1/hypervisor/sim.so; do
  expect 0 eu-unstrip -n -e "$file"
  says "/usr/lib/debug/.build-id/"
done
expect 0 eu-addr2line -e /usr/bin/novacore -f main
says "core/cli/main.c"

note "purged, nothing is left"
apt purge --autoremove 'novacore*' elfutils bash-completion man-db
userdel --remove somebody
files >after
diff before after >left || true
! grep -iE 'novacore|build-id' left || fail "files of novacore are left"
