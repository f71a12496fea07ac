#!/bin/bash
# SPDX-License-Identifier: MIT
# How many VMs may be: whose word counts, what is refused with arithmetic, and that wrong input
# changes nothing.
. "$(dirname "$0")/../run/lib.sh"
refused() { # CODE TEXT ARGUMENT…
  local code=$1 text=$2
  shift 2
  expect "$code" "$novacore" run --plugin sim --set hypervisor.sim.clock=virtual "$@"
  says "$text"
}

note "wrong input"
refused 2 'density.count' --benchmark density --set density.count=0
refused 2 'density.count' --benchmark density --set density.count=many
refused 2 'density.count' --benchmark density --set density.count=5,x
refused 2 'did you mean' --benchmark density --set density.cuont=5
refused 2 'density.rate' --benchmark density --set density.rate=5
refused 2 'density.guest' --benchmark density --set density.guest=linux
refused 2 'density.churn' --benchmark density --set density.churn=60
refused 2 'scaling.levels' --benchmark scaling --set scaling.levels=0
refused 2 'scaling.levels' --benchmark scaling --set scaling.level=5
refused 2 'scaling.patience' --benchmark scaling --set scaling.patience=0s

note "the default of a benchmark is held against the profile's limit, the user's word is not"
refused 5 'the plan has up to 100 VMs at once (density) and limits.max_vms is 4' --benchmark density
refused 5 'limits.max_vms is 8' --benchmark density --set density.count=9 --max-vms 8
printf 'limits = { max_vms = 8; };\n' >limit.conf
refused 5 'limits.max_vms is 8' --benchmark density --set density.count=9 --config limit.conf
printf 'benchmark = { density = { count = [ 30 ]; }; };\n' >count.conf
refused 5 'limits.max_vms is 4' --benchmark density --config count.conf
refused 5 'up to 5 VMs at once (scaling)' --benchmark scaling
refused 5 'limits.max_vms is 10' --benchmark scaling --set scaling.levels=5 --set scaling.base=6 --max-vms 10
[ ! -e "$NOVACORE_HOME/state/novacore.db" ] || fail "what was refused made a store"

note "what a profile limits by share is raised by the user's word too; a file's limit holds"
expect 0 "$novacore" run --plugin sim --set hypervisor.sim.clock=virtual --benchmark density --set density.count=30
refused 5 'per_target allows 200' --benchmark density --set density.count=201

note "what the target cannot do is left out with its reason"
refused 3 'a simulated VM runs no code' --benchmark density --set density.count=5 --set density.guest=stub
refused 4 'did not come up' --benchmark density --set density.count=5 --set hypervisor.sim.fail=start:1
nothing_left
