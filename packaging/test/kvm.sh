# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The KVM driver with the core; the profiles alone bring the core.
. /srv/test/lib.sh

note "profiles alone: the virtual package brings the core, or apt says what is missing"
apt install --no-install-recommends novacore-profiles
installed novacore || fail "novacore-profiles works without novacore"
nothing_refused
expect 0 novacore profile list
says "hpc"
apt purge --autoremove 'novacore*'

note "core and KVM driver"
apt install --no-install-recommends novacore novacore-hypervisor-kvm
installed libvirt0 || fail "the driver's library is not installed"
no_package_like 'libvirt-daemon|qemu-system'
nothing_refused
expect 0 novacore plugin info hypervisor/kvm

note "what the KVM driver recommends is there to be installed"
apt remove novacore-hypervisor-kvm
expect 0 apt-get install -s --install-recommends novacore-hypervisor-kvm
says "libvirt-daemon-driver-qemu"
says "qemu-system-x86"

note "what needs a later minor of the ABI is not installed beside this one"
mkdir -p other/DEBIAN
cat >other/DEBIAN/control <<'END'
Package: novacore-benchmark-other
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Depends: novacore-abi-1 (>= 1.9999)
Description: built for a later minor
END
dpkg-deb -b other other.deb >/dev/null
expect 100 apt-get install -y -q ./other.deb
says "novacore-abi-1 (>= 1.9999)"
apt purge --autoremove 'novacore*'
