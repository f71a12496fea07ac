# SPDX-License-Identifier: MIT
# Sourced by tests of all drivers (tests/conformance/lab.sh): configures the target `lab` in
# $work/lab.conf. There is no peer: the driver is one itself.
made="nothing: it simulates"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
secrets=()
printf 'target = { lab = { plugin = "sim"; clock = "real"; }; };\n' >"$work/lab.conf"
no_session "nobody logs in to a simulation"
