#!/bin/bash
# SPDX-License-Identifier: MIT
# test_selection.sh NOVACORE SOURCE CMAKE: -DNOVACORE_PLUGINS=… makes just those, and looks for no library
# that only others need.
. "$(dirname "$0")/../run/lib.sh"
source=$2 cmake=$3

# As if the drivers' libraries were not installed: what pkg-config does not find, nobody may ask for.
mkdir tools
cat >tools/pkg-config <<'END'
#!/bin/sh
for word; do
  case $word in
  libvirt* | libxml-2.0*) echo "$word" >>"$ASKED"; exit 1 ;;
  libcurl*) exit 1 ;; # the SDK asks, and goes without its helpers for drivers
  esac
done
exec pkg-config "$@"
END
chmod +x tools/pkg-config
export ASKED=$scratch/asked
: >"$ASKED"
configure() {
  "$cmake" -S "$source" -B tree -G Ninja -DPKG_CONFIG_EXECUTABLE="$scratch/tools/pkg-config" "$@"
}
note "two plugins, without the libraries of the others"
for tests in OFF ON; do
  rm -rf tree
  expect 0 configure "-DNOVACORE_PLUGINS=hypervisors/sim;benchmarks/lifecycle" -DNOVACORE_TESTS=$tests
  [ ! -s "$ASKED" ] || fail "with NOVACORE_TESTS=$tests these were looked for: $(tr '\n' ' ' <"$ASKED")"
done
expect 0 ninja -C tree -t targets all
grep -q '^plugin_hypervisor_sim:' out || fail "no sim"
grep -q '^plugin_benchmark_lifecycle:' out || fail "no lifecycle"
! grep -E '^plugin_(hypervisor_(hyperv|kubevirt|kvm|proxmox|vsphere|xcp-ng)|profile_hpc):' out || fail "others are built"

note "with the KVM driver they are needed, and it says which"
code=0
configure -DNOVACORE_PLUGINS=hypervisors/kvm >out 2>err || code=$?
[ $code != 0 ] || fail "configured without libvirt"
says libvirt

note "a plugin that there is not"
code=0
configure "-DNOVACORE_PLUGINS=hypervisors/sim;hypervisors/xen" >out 2>err || code=$?
[ $code != 0 ] || fail "hypervisors/xen was built"
says "hypervisors/xen"
