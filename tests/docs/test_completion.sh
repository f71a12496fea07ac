#!/bin/bash
# SPDX-License-Identifier: MIT
# Completion as each shell does it. test_completion.sh NOVACORE SOURCE
source=$(readlink -f "$2")
. "$(dirname "$0")/../run/lib.sh"
bin=$(dirname "$novacore")
export PATH=$bin:$PATH

# What bash would put in place of the last word of a line.
bash_replies() {
  bash -c '. "$1"; COMP_LINE=$2 COMP_POINT=${#2}; compopt() { :; }; _novacore; printf "%s\n" "${COMPREPLY[@]}"' \
    bash "$source/packaging/completion/novacore.bash" "$1"
}
# offers LINE WORD…: each is among the replies
offers() {
  local line=$1 word
  shift
  bash_replies "$line" >"$scratch/replies"
  for word in "$@"; do
    grep -qxF -- "$word" "$scratch/replies" ||
      { cat "$scratch/replies" >&2; fail "\"$line\" does not offer \"$word\""; }
  done
}
# only LINE WORD…: exactly these
only() {
  local line=$1
  offers "$@"
  shift
  [ "$(grep -c . "$scratch/replies")" = $# ] || { cat "$scratch/replies" >&2; fail "\"$line\" offers more than $*"; }
}
nothing() {
  bash_replies "$1" >"$scratch/replies"
  ! grep -q . "$scratch/replies" || { cat "$scratch/replies" >&2; fail "\"$1\" offers something"; }
}

note 'commands, actions and options are those of --help'
expect 0 "$novacore" --help
mapfile -t commands < <(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$scratch/out")
only 'novacore ' "${commands[@]}"
only 'novacore resu' results
nothing 'novacore nosuch '
for command in "${commands[@]}"; do
  expect 0 "$novacore" "$command" --help
  mapfile -t options < <(grep -oE '^  --[a-z][a-z-]*' "$scratch/out" | tr -d ' ')
  only "novacore $command --" "${options[@]}"
done
only 'novacore results ' list show export import delete
only 'novacore plugin list --ki' --kind
only 'novacore --profi' --profile
nothing 'novacore plugin info --kin'

note 'values are those of the program'
offers 'novacore --profile ' development dev hpc
only 'novacore run --plugin=si' sim
only 'novacore --benchmark life' lifecycle
only 'novacore --target si' sim=
only 'novacore profile show hp' hpc
only 'novacore plugin info hypervisor/si' hypervisor/sim
only 'novacore plugin list --kind ' benchmark hypervisor optimizer profile
only 'novacore run --format ' table json csv junit
only 'novacore profile list --format ' table json
only 'novacore config keys --format ' table json markdown
only 'novacore --fail-on ' goal
only 'novacore profile optimize dev --workload ml,lat' ml,latency-sensitive
nothing 'novacore --seed '

note 'settings: keys, then values'
only 'novacore --set run.sam' run.samples=
offers 'novacore --set hypervisor.sim.' hypervisor.sim.clock= hypervisor.sim.seed=
only 'novacore --set hypervisor.sim.clock=' virtual real
only 'novacore --set=run.full=t' true
offers 'novacore config show ' run run.samples
[ "$(grep -cx run "$scratch/replies")" = 1 ] || fail 'the group run is offered more than once'
nothing 'novacore --set no.such.key='

note 'runs'
only 'novacore results show ' last
expect 0 "$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --quiet --format json
run=$(json "$scratch/out" 'r["run"]["id"]')
only 'novacore results show ' last "$run"
only 'novacore run --resume 0' "$run"
nothing "novacore results show $run "
only "novacore results delete $run la" last

note 'files'
mkdir "$scratch/some"
touch "$scratch/some/lab.conf"
only "novacore --config $scratch/some/" "$scratch/some/lab.conf"
only "novacore --config=$scratch/some/l" "$scratch/some/lab.conf"
only "novacore results import $scratch/some/l" "$scratch/some/lab.conf"

note 'wrong input is no candidate and no noise'
expect 2 "$novacore" complete
expect 0 "$novacore" complete --set ''
for words in $'run --set \x01' '--set ==' 'run --=x' '-' '--' 'config show --set a.b=c=' 'results show --format= '; do
  bash_replies "novacore $words" >"$scratch/replies" 2>"$scratch/err"
  [ ! -s "$scratch/err" ] || fail "\"$words\" says: $(cat "$scratch/err")"
done

if command -v fish >/dev/null; then
  note 'fish'
  XDG_CONFIG_HOME=$scratch/fish HOME=$scratch fish --private -c "source $source/packaging/completion/novacore.fish
    complete -C 'novacore --plugin si'; complete -C 'novacore resu'; complete -C 'novacore --set hypervisor.sim.clock='" >"$scratch/fish.out"
  for word in sim results hypervisor.sim.clock=virtual; do
    cut -f1 "$scratch/fish.out" | grep -qxF -- "$word" || { cat "$scratch/fish.out" >&2; fail "fish does not offer $word"; }
  done
else
  note 'fish is not installed: its completion is not tried'
fi
if command -v zsh >/dev/null; then
  note 'zsh'
  zsh -n "$source/packaging/completion/_novacore" || fail 'zsh does not take its completion'
else
  note 'zsh is not installed: its completion is not tried'
fi
