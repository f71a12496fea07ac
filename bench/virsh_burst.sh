#!/bin/bash
# SPDX-License-Identifier: MIT
# A burst of VMs as people make it with virsh: AT_ONCE loops, each over its share. Arguments: URI, XML
# template, image, folder, COUNT, AT_ONCE. Prints nanoseconds: until the last guest has been heard, and
# until all are deleted.
set -euo pipefail
uri=$1 template=$2 image=$3 folder=$4 count=$5 at_once=$6
virsh() { command virsh --quiet --connect "$uri" "$@"; }
bring_up() {
  for ((i = $1; i < count; i += at_once)); do
    vm=novacore-loop-$i
    qemu-img create -q -f qcow2 -b "$image" -F raw "$folder/$vm.qcow2" 1M
    sed "s/@NAME@/$vm/g; s/@PORT@/9/" "$template" >"$folder/$vm.xml"
    virsh define "$folder/$vm.xml" >/dev/null
    virsh start "$vm" >/dev/null
    until [ -s "$folder/$vm.console" ]; do sleep 1; done
  done
}
take_down() {
  for ((i = $1; i < count; i += at_once)); do
    vm=novacore-loop-$i
    virsh destroy "$vm" >/dev/null
    virsh undefine "$vm" >/dev/null
    rm -f "$folder/$vm.qcow2" "$folder/$vm.xml" "$folder/$vm.console"
  done
}
together() { # FUNCTION
  local pids=() pid number
  for ((number = 0; number < at_once; number++)); do
    "$1" "$number" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}
t0=$(date +%s%N)
together bring_up
t1=$(date +%s%N)
together take_down
t2=$(date +%s%N)
echo $((t1 - t0)) $((t2 - t1))
