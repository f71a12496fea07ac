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
mapfile -t commands < <(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$scratch/out")
only 'novacore ' "${commands[@]}"
only 'novacore resu' results
nothing 'novacore nosuch '
for command in "${commands[@]}"; do
  expect 0 "$novacore" "$command" --help
  mapfile -t options < <(grep -oE '^  --[a-z][a-z-]*' "$scratch/out" | tr -d ' ')
  only "novacore $command --" "${options[@]}"
done
only 'novacore report last --format ' html markdown json csv junit table
offers 'novacore report la' last
only 'novacore results ' list show export import delete
only 'novacore plugin ' list info new check keygen sign verify
for action in new check keygen sign verify; do
  expect 0 "$novacore" plugin $action --help
  mapfile -t options < <(grep -oE '^  --[a-z][a-z-]*' "$scratch/out" | tr -d ' ')
  only "novacore plugin $action --" "${options[@]}"
done
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
only 'novacore plugin new ' benchmark hypervisor optimizer profile
nothing 'novacore plugin new benchmark '
only 'novacore plugin list --kind ' benchmark hypervisor optimizer profile
only 'novacore run --format ' table json csv junit html markdown
only 'novacore profile list --format ' table json
only 'novacore config keys --format ' table json markdown
only 'novacore --fail-on ' goal regression
only 'novacore --record cpu,of' cpu,off-cpu
only 'novacore plan-samples --format ' table json
only 'novacore selftest --format ' table json
only 'novacore selftest --s' --series --seed
only 'novacore plan-samples --benchmark life' lifecycle
only 'novacore profile optimize dev --workload ml,lat' ml,latency-sensitive
nothing 'novacore --seed '

note 'targets of the configuration, and their settings'
mkdir -p "$NOVACORE_HOME/config"
echo 'target = { lab = { plugin = "sim"; }; };' >"$NOVACORE_HOME/config/novacore.conf"
only 'novacore --target la' lab
only 'novacore --set target.lab.clo' target.lab.clock=
only 'novacore clean --plugin si' sim
rm "$NOVACORE_HOME/config/novacore.conf"
nothing 'novacore --target la'

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

only 'novacore baseline ' set list show delete
offers 'novacore compare la' last
only "novacore compare last ${run:0:24}" "$run"
only 'novacore baseline set la' last
only 'novacore history lifecycle.start.re' lifecycle.start.ready
only 'novacore rank lifecycle.start.ready la' last
only 'novacore history lifecycle.start.ready --side ' vm native
only 'novacore history lifecycle.start.ready --where ' this
only 'novacore compare --fail-on ' regression
only 'novacore compare --metric lifecycle.to' lifecycle.total
nothing 'novacore ack --remove '
nothing 'novacore compare a b '

note 'files'
mkdir "$scratch/some"
touch "$scratch/some/lab.conf"
only "novacore compare $scratch/some/l" "$scratch/some/lab.conf" # where nothing else fits
only "novacore report $scratch/some/l" "$scratch/some/lab.conf"
only "novacore --config $scratch/some/" "$scratch/some/lab.conf"
only "novacore --config=$scratch/some/l" "$scratch/some/lab.conf"
only "novacore results import $scratch/some/l" "$scratch/some/lab.conf"
only 'novacore guest build --format ' qcow2 vmdk vhd vhdx raw containerdisk
only 'novacore guest list --format ' table json
only "novacore guest build --kernel $scratch/some/l" "$scratch/some/lab.conf"
only "novacore plugin new benchmark hello $scratch/so" "$scratch/some"
only "novacore plugin check $scratch/some/l" "$scratch/some/lab.conf"
only 'novacore plugin check sim --set clo' clock=
only 'novacore plugin check --only vm-list /some/where/sim.so --set clock=' virtual real
nothing 'novacore plugin check nosuch --set clo'
nothing 'novacore plugin check --set clo'
only 'novacore plugin check --conformance sim= --set clo' clock=
only 'novacore target add lab --plugin sim --set clo' clock=
only 'novacore target test sim= --set clock=' virtual real
only "novacore plugin sign $scratch/some/l" "$scratch/some/lab.conf"
only "novacore plugin sign x.so --key $scratch/some/l" "$scratch/some/lab.conf"
only "novacore plugin verify --key=$scratch/some/l" "$scratch/some/lab.conf"
only "novacore plugin verify $scratch/some/lab.conf $scratch/some/l" "$scratch/some/lab.conf"

note 'wrong input is no candidate and no noise'
expect 2 "$novacore" complete
expect 0 "$novacore" complete --set ''
for words in $'run --set \x01' '--set ==' 'run --=x' '-' '--' 'config show --set a.b=c=' 'results show --format= '; do
  bash_replies "novacore $words" >"$scratch/replies" 2>"$scratch/err"
  [ ! -s "$scratch/err" ] || fail "\"$words\" says: $(cat "$scratch/err")"
done

note 'what a plugin says of itself stays on its line, and does nothing to the terminal'
prefix=$scratch/prefix
mkdir -p "$prefix/bin" "$prefix/lib/novacore/plugins/1/hypervisor"
cp "$novacore" "$prefix/bin/"
cp "$bin/lib/novacore/plugins/1/hypervisor/sim."* "$prefix/lib/novacore/plugins/1/hypervisor/"
manifest=$prefix/lib/novacore/plugins/1/hypervisor/sim.manifest
sed -i 's/^summary = .*/summary = "one\\ntwo\\tthree\\x1b[31mred\\xc2\\x9b31m";/' "$manifest"
expect 0 "$prefix/bin/novacore" plugin list --kind hypervisor --json
check "$scratch/out" 'r["plugins"][0]["summary"].startswith("one?two?three?[31mred?")'
expect 0 "$prefix/bin/novacore" complete run --plugin ''
[ "$(wc -l <"$scratch/out")" = 1 ] || fail 'a summary of two lines makes two candidates'
! LC_ALL=C grep -q "$(printf '\033\\|\302\233')" "$scratch/out" || fail 'a summary sends escape sequences to the terminal'
printf 'no plugin' >"$prefix/lib/novacore/plugins/1/hypervisor/broken.so"
mkfifo "$prefix/lib/novacore/plugins/1/hypervisor/pipe.so"
echo '}{' >"$manifest"
expect 0 "$prefix/bin/novacore" complete run --plugin ''
[ ! -s "$scratch/out" ] && [ ! -s "$scratch/err" ] || fail 'refused plugins are candidates, or noise'

# Which shells must be there says ./dev; elsewhere a part of this test is left out.
if command -v fish >/dev/null; then
  note 'fish'
  fish_replies() {
    XDG_CONFIG_HOME=$scratch/fish HOME=$scratch fish --private -c \
      "source $source/packaging/completion/novacore.fish; complete -C '$1'" | cut -f1
  }
  fish_offers() { # LINE WORD
    fish_replies "$1" >"$scratch/fish.out"
    grep -qxF -- "$2" "$scratch/fish.out" || { cat "$scratch/fish.out" >&2; fail "fish: \"$1\" does not offer $2"; }
  }
  fish_offers 'novacore --plugin si' sim
  fish_offers 'novacore resu' results
  fish_offers 'novacore --set hypervisor.sim.clock=' hypervisor.sim.clock=virtual
  fish_offers 'novacore results show ' "$run"
  fish_offers 'novacore plugin new ' optimizer
  fish_offers "novacore plugin check $scratch/some/l" "$scratch/some/lab.conf"
  fish_offers 'novacore plugin ' verify
else
  note 'fish is not installed: its completion is not tried'
fi
if command -v zsh >/dev/null; then
  note 'zsh'
  # An interactive zsh at a terminal of its own, whose compadd tells what it was given and what of
  # that fits the word.
  cat >"$scratch/zsh.sh" <<'END'
zmodload zsh/zpty
export HOME=$2 TERM=dumb
zpty shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT= fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste"
zpty -w shell 'compadd() { local -a __fit; builtin compadd -O __fit "$@"; print -rl -- $__fit >>'$2'/zsh.fit; builtin compadd "$@" }'
zpty -w shell 'ended() { zle -I; print done >>'$2'/zsh.done }; zle -N ended; bindkey "^X^E" ended'
zpty -w -n shell "$3"$'\t\x18\x05'
repeat 100; do [[ -e $2/zsh.done ]] && break; sleep 0.1; zpty -r -t shell _ 2>/dev/null; done
zpty -d shell
END
  zsh_offers() { # LINE WORD
    rm -f "$scratch/zsh.fit" "$scratch/zsh.done"
    : >"$scratch/zsh.fit"
    timeout -k 1 60 zsh -f "$scratch/zsh.sh" "$source/packaging/completion" "$scratch" "$1" >"$scratch/zsh.out" 2>&1 </dev/null || true
    [ -e "$scratch/zsh.done" ] || { cat "$scratch/zsh.out" >&2; fail 'zsh did not come to its prompt'; }
    grep -qxF -- "$2" "$scratch/zsh.fit" || { cat "$scratch/zsh.fit" >&2; fail "zsh: \"$1\" does not offer $2"; }
  }
  zsh_offers 'novacore --plugin si' sim
  zsh_offers 'novacore resu' results
  zsh_offers 'novacore --set hypervisor.sim.clock=' hypervisor.sim.clock=virtual
  zsh_offers 'novacore results show ' "$run"
  zsh_offers 'novacore plugin new ' optimizer
  zsh_offers "novacore plugin check $scratch/some/l" lab.conf
  zsh_offers 'novacore plugin ' verify
else
  note 'zsh is not installed: its completion is not tried'
fi
