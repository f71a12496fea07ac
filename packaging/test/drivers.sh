# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each driver of a platform that is far away installs alone with the core, finds its libraries, brings no
# other driver's, and says what it wants to know. And it goes without leaving anything.
. /srv/test/lib.sh

files >before
declare -A others=(
  [hyperv]='libvirt|libyaml' [kubevirt]='libvirt|libxml2' [proxmox]='libvirt|libxml2|libyaml|libssh-4'
  [vsphere]='libvirt|libyaml' [xcp-ng]='libvirt|libxml2|libyaml'
)
for driver in hyperv kubevirt proxmox vsphere xcp-ng; do
  note "core and $driver"
  apt install --no-install-recommends "novacore-hypervisor-$driver"
  installed novacore || fail "novacore-hypervisor-$driver works without novacore"
  no_package_like "^novacore-(benchmark|profiles)|^novacore-hypervisor-" "^novacore-hypervisor-$driver\$"
  no_package_like "${others[$driver]}"
  nothing_refused
  expect 0 novacore plugin list --json
  says "\"$driver\""
  expect 0 ldd "/usr/lib/novacore/plugins/1/hypervisor/$driver.so"
  ! grep "not found" out || fail "$driver.so lacks a library"
  expect 0 novacore plugin info "hypervisor/$driver"
  says "uri"
  [ -s "/usr/share/man/man7/novacore-hypervisor-$driver.7.gz" ] || fail "$driver has no manual page"
  apt purge --autoremove 'novacore*'
done
files >after
diff before after || fail "the drivers left files behind"
