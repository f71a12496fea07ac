#!/bin/bash
# SPDX-License-Identifier: MIT
# The life of VMs as people time it with virsh. Arguments: URI, XML template, image, folder, first
# number, count. A line for each VM, nanoseconds: create, running, first, off, delete, total, polls.
set -euo pipefail
uri=$1 template=$2 image=$3 folder=$4 first=$5 count=$6
virsh() { command virsh --quiet --connect "$uri" "$@"; }
for ((i = first; i < first + count; i++)); do
  vm=novacore-loop-$i polls=0
  t0=$(date +%s%N)
  qemu-img create -q -f qcow2 -b "$image" -F raw "$folder/$vm.qcow2" 1M
  sed "s/@NAME@/$vm/g; s/@PORT@/9/" "$template" >"$folder/$vm.xml"
  virsh define "$folder/$vm.xml" >/dev/null
  t1=$(date +%s%N)
  virsh start "$vm" >/dev/null
  until [ "$(virsh domstate "$vm")" = running ]; do sleep 1; done
  t2=$(date +%s%N)
  # ready is when the guest has said something
  until [ -s "$folder/$vm.console" ]; do sleep 1; polls=$((polls + 1)); done
  t3=$(date +%s%N)
  virsh destroy "$vm" >/dev/null
  t4=$(date +%s%N)
  virsh undefine "$vm" >/dev/null
  rm -f "$folder/$vm.qcow2" "$folder/$vm.xml" "$folder/$vm.console"
  t5=$(date +%s%N)
  echo $((t1 - t0)) $((t2 - t1)) $((t3 - t1)) $((t4 - t3)) $((t5 - t4)) $((t5 - t0)) $polls
done
