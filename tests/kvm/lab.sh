# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): configures the target `lab` in
# $work/lab.conf: libvirt and QEMU of this host, with the appliance.
made="libvirt and QEMU of the host themselves, without KVM (TCG), with the appliance; 20 VMs"
work=$(mktemp -d)
chmod 755 "$work" # QEMU is another user
trap 'rm -rf "$work"' EXIT
secrets=()
printf 'target = { lab = { plugin = "kvm"; uri = "daemon"; accel = "tcg"; }; };\n' >"$work/lab.conf"
mkdir "$work/home"
chmod 755 "$work/home"
NOVACORE_HOME=$work/home "$novacore" guest build >&2
mapfile -t guest < <(NOVACORE_HOME=$work/home "$novacore" guest info --format json | python3 -c 'import json, sys
guest = json.load(sys.stdin)
for part in "kernel", "initrd", "image", "cmdline":
    print(guest[part])')
check+=(--kernel "${guest[0]}" --initrd "${guest[1]}" --image "${guest[2]}" --cmdline "${guest[3]}" --vms 20)
no_session "libvirt lets in a connection once, and its sessions do not run out"
