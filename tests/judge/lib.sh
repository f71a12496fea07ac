# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of judging share. Sourced with $1 = novacore, $2 = make_runs.py.
makes=$(readlink -f "$2")
. "$(dirname "${BASH_SOURCE[0]}")/../run/lib.sh"
ready=lifecycle.start.ready

# A run of the simulator is the form of all documents; only its samples are invented anew.
form() {
  NOVACORE_HOME=$scratch/form expect 0 "$novacore" --profile dev --plugin sim --quiet --seed 7 \
    --set hypervisor.sim.clock=virtual --format json --output "$scratch/form.json"
}
# make FILE KEY=VALUE…: sets $made to the id of the run in it.
make() {
  made=$(python3 "$makes" "$scratch/form.json" "$@") || fail "make_runs.py $*"
}
# keep KEY=VALUE…: such a document, imported.
keep() {
  make "$scratch/kept.json" "$@"
  expect 0 "$novacore" results import "$scratch/kept.json" --quiet
}
# row FILE METRIC [SIDE]: what a comparison says of it, as JSON.
row() { json "$1" "__import__('json').dumps([m for m in r['metrics'] if m['metric']=='$2' and m['side']=='${3:-vm}'][0])"; }
# says_row METRIC EXPRESSION over m, of the comparison in $scratch/out
says_row() { check "$scratch/out" "(lambda m: $2)([m for m in r['metrics'] if m['metric']=='$1'][0])"; }
# verdicts FILE: "regressed 1, same 11"
verdicts() { json "$1" "', '.join('%s %d' % x for x in sorted(__import__('collections').Counter(m['verdict'] for m in r['metrics']).items()))"; }
