#!/bin/bash
# SPDX-License-Identifier: MIT
# test_debian.sh NOVACORE SOURCE CPACK: the .deb packages of a build tree: what is in each, what each needs,
# and that stripping and debug symbols leave every manifest true.
. "$(dirname "$0")/../run/lib.sh"
build=$(dirname "$novacore") source=$2 cpack=$3
umask 022
export SOURCE_DATE_EPOCH=1700000000

expect 0 "$cpack" -G DEB --config "$build/CPackConfig.cmake" -B "$scratch/debs"
mkdir -m 755 root
declare -A file
for deb in debs/*.deb; do
  file[$(dpkg-deb -f "$deb" Package)]=$deb
  dpkg-deb -x "$deb" root
done
depends() { dpkg-deb -f "${file[$1]}" Depends; }
has() { dpkg-deb -c "${file[$1]}" | awk '{ print $6 }' | grep -xF "./$2" >/dev/null || fail "$1 has no $2"; }
brings() { # package, what its Depends must match
  depends "$1" | grep -E "$2" >/dev/null || fail "$1 does not depend on $2: $(depends "$1")"
}
not_brings() {
  ! depends "$1" | grep -E "$2" >/dev/null || fail "$1 depends on $2: $(depends "$1")"
}

note "each component is a package, with its debug symbols in another"
for package in novacore novacore-sdk-dev novacore-profiles \
  novacore-benchmark-{cpu,density,lifecycle,memory,migration,network,overhead,scaling,storage} \
  novacore-hypervisor-hyperv novacore-hypervisor-kubevirt novacore-hypervisor-kvm novacore-hypervisor-proxmox \
  novacore-hypervisor-sim novacore-hypervisor-vsphere novacore-hypervisor-xcp-ng; do
  [ -n "${file[$package]:-}" ] || fail "there is no package $package"
  [ -n "${file[$package-dbgsym]:-}" ] || fail "there is no package $package-dbgsym"
  has $package usr/share/doc/$package/copyright
  has $package usr/share/doc/$package/changelog.Debian.gz
  [ -n "$(dpkg-deb -f "${file[$package]}" Description | sed -n 2p)" ] || fail "$package is not described"
  ! dpkg-deb -c "${file[$package]}" | grep -E ' \./(var|tmp|run|home|root)/' || fail "$package brings state"
  ! dpkg-deb -c "${file[$package]}" | grep -vE '^[-d]r[w-]xr-xr-x root/root|^-rw-r--r-- root/root' ||
    fail "$package has odd owners or modes"
done
has novacore usr/bin/novacore
has novacore usr/share/man/man1/novacore.1.gz
has novacore usr/share/bash-completion/completions/novacore
has novacore usr/share/zsh/vendor-completions/_novacore
has novacore usr/share/fish/vendor_completions.d/novacore.fish
has novacore etc/novacore/keys.d/
has novacore-sdk-dev usr/bin/novacore-manifest
has novacore-sdk-dev usr/bin/dh_novacore
has novacore-hypervisor-sim usr/lib/novacore/plugins/1/hypervisor/sim.so
has novacore-hypervisor-sim usr/share/man/man7/novacore-hypervisor-sim.7.gz
has novacore-profiles usr/lib/novacore/plugins/1/profile/hpc.manifest

note "who needs what"
abi=novacore-abi-1
dpkg-deb -f "${file[novacore]}" Provides | grep -F "$abi" >/dev/null || fail "novacore does not provide $abi"
for package in "${!file[@]}"; do
  case $package in
  *-dbgsym) brings "$package" "^${package%-dbgsym} \\(= " ;;
  novacore | novacore-sdk-dev) ;;
  *) brings "$package" "$abi" ;;
  esac
done
# needs FILE SONAME…: exactly these libraries, and those of C
needs() {
  local file=$1 found wanted
  shift
  found=$(readelf -dW "root/usr/$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\.so\..*\]/\1/p' |
    grep -vxE 'libc|libm|ld-linux-x86-64' | sort | tr '\n' ' ')
  wanted=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
  [ "$found" = "$wanted" ] || fail "$file needs $found, not $wanted"
}
https=(libcurl libjansson libssl libcrypto)
drivers=lib/novacore/plugins/1/hypervisor
needs $drivers/hyperv.so "${https[@]}" libxml2 libssh
needs $drivers/kubevirt.so "${https[@]}" libyaml-0 libssh
needs $drivers/kvm.so libvirt libvirt-qemu libxml2 libjansson
needs $drivers/proxmox.so "${https[@]}"
needs $drivers/vsphere.so "${https[@]}" libxml2
needs $drivers/xcp-ng.so "${https[@]}" libssh
[ -z "$(readelf -dW root/usr/$drivers/sim.so | grep -E 'NEEDED.*(libvirt|libcurl|libssl)')" ] || fail "the simulator needs a driver's library"
brings novacore-hypervisor-kvm 'libvirt0.*libxml2'
brings novacore-hypervisor-kubevirt 'libcurl4.*libssh.*libyaml-0-2'
brings novacore libsqlite3
not_brings novacore 'libvirt|libcurl|libxml2|libssh|libyaml'
not_brings novacore-hypervisor-sim 'libvirt|libcurl|libxml2|libssh|libyaml|libjansson|libssl'
! ldd root/usr/bin/novacore | grep -E 'libvirt|libcurl|libxml2|libssh|libyaml' || fail "the core links a driver's library"

note "stripped, and every plugin is what its manifest says"
expect 0 root/usr/bin/novacore plugin list --refused
says "No plugin was refused"
for elf in root/usr/bin/novacore root/usr/bin/novacore-manifest root/usr/lib/novacore/plugins/1/*/*.so; do
  ! readelf -SW "$elf" | grep ' \.symtab ' >/dev/null || fail "$elf is not stripped"
  id=$(readelf -n "$elf" | sed -n 's/.*Build ID: //p')
  [ -s "root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ] || fail "$elf ($id) has no debug symbols"
  readelf -SW "root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" 2>/dev/null | grep '\.debug_info' >/dev/null ||
    fail "the debug symbols of $elf are empty"
  ! grep -aqF "$source" "$elf" || fail "$elf knows where it was built"
done

note "hardened: PIE, RELRO, bound at start, no executable stack, stack protector, fortified"
for elf in root/usr/bin/novacore root/usr/bin/novacore-manifest root/usr/lib/novacore/plugins/1/*/*.so; do
  readelf -hW "$elf" | grep 'Type: *DYN' >/dev/null || fail "$elf is not position-independent"
  readelf -lW "$elf" | grep GNU_RELRO >/dev/null || fail "$elf has no RELRO"
  readelf -dW "$elf" | grep -E 'BIND_NOW|FLAGS.* NOW' >/dev/null || fail "$elf is bound lazily"
  ! readelf -lW "$elf" | grep GNU_STACK | grep E >/dev/null || fail "$elf has an executable stack"
  ! readelf -dW "$elf" | grep -E 'RPATH|RUNPATH' >/dev/null || fail "$elf has a path to libraries"
done
for elf in root/usr/bin/novacore root/usr/lib/novacore/plugins/1/hypervisor/{hyperv,kubevirt,kvm,proxmox,vsphere,xcp-ng}.so; do
  nm -D --undefined-only "$elf" | grep __stack_chk_fail >/dev/null || fail "$elf has no stack protector"
  nm -D --undefined-only "$elf" | grep '_chk@' >/dev/null || fail "$elf is not fortified"
done

if command -v lintian >/dev/null; then
  note "lintian"
  code=0
  lintian --allow-root --fail-on error debs/*.deb >lint 2>&1 || code=$?
  cat lint
  [ $code = 0 ] || fail "lintian found errors"
fi
