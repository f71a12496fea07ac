#!/bin/bash
# SPDX-License-Identifier: MIT
# Each --help teaches by examples that are true: they name options that there are, and those that can be
# run here do run; so do those of the manual pages. test_help.sh NOVACORE MANIFEST SOURCE
source=$(readlink -f "$3")
manifest=$(readlink -f "$2")
. "$(dirname "$0")/../run/lib.sh"
export PATH=$(dirname "$novacore"):$PATH LC_ALL=C.UTF-8

# The examples of a help text: what stands below a line that begins with "example", up to an empty one;
# a line that ends in \ goes on, and what follows three spaces is a remark.
examples_of() {
  awk '/^examples?:/ { on = 1; next } /^$/ { on = 0 } !on || !/^  / { next }
    { sub(/^ +/, ""); if (sub(/ *\\$/, "")) { line = line $0 " "; next }
      line = line $0; sub(/   .*/, "", line); print line; line = "" }' "$1"
}
options_of() { grep -oE -- '(^| )--[a-z][a-z-]*' | tr -d ' ' | sort -u; }

# check_help FILE PROGRAM: exit code 0 was checked; the text itself
check_help() {
  local wide=$(awk 'length > 100' "$1")
  [ -z "$wide" ] || fail "$2 --help is wider than 100 columns: $wide"
  head -n 1 "$1" | grep -q '^usage: ' || fail "$2 --help does not begin with the usage"
  [ ! -s "$scratch/err" ] || fail "$2 --help says something on standard error"
  examples_of "$1" >"$scratch/examples"
  grep -q "^novacore" "$scratch/examples" || fail "$2 --help has no example"
}

note 'every command, and every action with a help of its own'
expect 0 "$novacore" --help
check_help "$scratch/out" novacore
cp "$scratch/examples" "$scratch/all"
mapfile -t commands < <(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$scratch/out")
[ ${#commands[@]} -gt 5 ] || fail 'novacore --help lists too few commands'
for command in "${commands[@]}"; do
  expect 0 "$novacore" "$command" --help
  cp "$scratch/out" "$scratch/help-$command"
  check_help "$scratch/out" "$command"
  cat "$scratch/examples" >>"$scratch/all"
  mapfile -t actions < <(sed -n "/^\$/q;s/.*novacore $command \([a-z][a-z|]*\).*/\1/p" "$scratch/help-$command" |
    tr '|' '\n' | sort -u)
  for action in "${actions[@]}"; do
    expect 0 "$novacore" "$command" "$action" --help
    cmp -s "$scratch/out" "$scratch/help-$command" && continue
    cp "$scratch/out" "$scratch/help-$command-$action"
    check_help "$scratch/out" "$command $action"
    grep -q "^novacore $command $action" "$scratch/examples" ||
      fail "$command $action --help has no example of itself"
    cat "$scratch/examples" >>"$scratch/all"
  done
done
expect 0 "$manifest" --help
check_help "$scratch/out" novacore-manifest
for page in "$source"/docs/man/novacore*.md "$source"/plugins/*/*/*.md; do
  # with their continuation lines joined
  sed '/^## Synopsis/,/^## /d' "$page" | sed -n 's/^    //p' |
    awk '{ if (sub(/ *\\$/, "")) { line = line $0 " "; next } line = line $0
      sub(/   .*/, "", line); sub(/ +# .*/, "", line); print line; line = "" }' | sed 's/   */ /g' |
    grep '^novacore ' >>"$scratch/all" || true
done
sort -u "$scratch/all" >"$scratch/examples"
[ "$(wc -l <"$scratch/examples")" -gt 20 ] || fail 'there are too few examples'

note 'examples use options that their help explains'
while read -r line; do
  while read -r part; do
    [[ $part == novacore\ * ]] || continue
    read -r _ command action _ <<<"$part"
    [[ $command == --* ]] && command=run
    help=$scratch/help-$command
    [ -f "$help" ] || fail "\"$line\": there is no command $command"
    [ ! -f "$help-$action" ] || help=$help-$action
    # behind -- stands another program with options of its own
    for option in $(sed "s/'[^']*'//g; s/ -- .*//" <<<"$part" | options_of); do
      grep -qE -- "^  $option( |\$)" "$help" || fail "\"$line\": its help has no $option"
    done
  done < <(sed 's/&&/\n/g; s/|/\n/g' <<<"$line" | sed 's/^ *//')
done <"$scratch/examples"

note 'those that change nothing but this directory run'
mkdir run
cd run
NOVACORE_HOME=$scratch/elsewhere expect 0 novacore --profile dev --plugin sim --set hypervisor.sim.clock=virtual \
  --quiet --format json --output r.json
sed 's/"simulated": true/"simulated": false/' r.json >before.json # what is simulated is judged by nothing
cp before.json after.json
expect 0 novacore results import before.json --quiet
expect 0 novacore baseline set last
echo 'run = { samples = 7; };' >novacore.conf
{ echo time,p50,p99,value && for i in {1..40}; do echo "$i,$i,7,$((i % 3))"; done; } >requests.csv
printf 'main;work %s\n' 20 | tee {before,after,web}.pb.gz {before,after,web,host1,host2}.folded >/dev/null # what they are is seen from how they begin
mkdir -p "$NOVACORE_HOME/config" # a target that examples speak of
{
  echo 'target = { lab = { plugin = "kvm"; uri = "qemu+ssh://lab/system"; };'
  echo '  lab-1 = { plugin = "kvm"; uri = "qemu+ssh://lab-1/system"; };'
  echo '  lab-2 = { plugin = "kvm"; uri = "qemu+ssh://lab-2/system"; }; };'
} |
  tee "$NOVACORE_HOME/config/novacore.conf" >lab.conf
count=0
while read -r line; do
  case $line in
  # needs a plugin of one's own, boots VMs, builds, needs a hypervisor, or an interrupted run
  novacore\ guest\ build* | novacore\ guest\ info* | qemu-* | novacore\ run\ --resume* | novacore\ ab\ --resume* | *--plugin\ kvm | *\ mine*) ;;
  novacore\ plugin\ check* | novacore\ plugin\ keygen* | novacore\ plugin\ sign* | novacore\ plugin\ verify*) ;;
  *jq* | *perf\ script*) ;;
  novacore\ compare\ *--confirm*) ;; # repeats runs of one's own: tests/judge has some
  novacore\ target\ test\ lab*) ;; # connects there: tests/target
  novacore\ record\ * | novacore\ recordings\ show\ *) ;; # sample for long, or show that: tests/record
  novacore\ selftest*) ;; # measures this host: tests/selftest
  novacore\ ab\ --plugin\ kvm*) ;; # boots VMs: tests/run
  novacore\ baseline\ *) ;; # no simulated run can be one: tests/judge
  novacore\ doctor*) # finds what this host lacks
    $line >/dev/null 2>&1 || [ $? = 3 ] || fail "exit code: $line" ;;
  novacore\ plugin\ new* | mkdir*)
    rm -rf ./*/
    expect 0 bash -c "$line" ;;
  novacore\ --* | novacore\ run\ *)
    expect 0 bash -c "${line/ --dry-run/} --dry-run"
    count=$((count + 1)) ;;
  novacore\ *)
    rm -rf "$NOVACORE_HOME/config/profiles" # an example may be told twice
    cp before.json r.json                   # a dry run's plan may lie there
    expect 0 bash -c "$line"
    count=$((count + 1)) ;;
  *) fail "who can run \"$line\"?" ;;
  esac
done < <(grep -v '^\(strip\|novacore-manifest\)' "$scratch/examples")

note 'files that documents show are right'
blocks=0
for page in "$source"/docs/*.md; do
  awk -v to="$scratch/block" '/^```conf$/ { on = 1; n++; next } /^```$/ { on = 0 } on { print >(to n ".conf") }' "$page"
  for file in "$scratch"/block*.conf; do
    [ -e "$file" ] || continue
    expect 0 novacore config check "$file"
    rm "$file"
    blocks=$((blocks + 1))
  done
done
[ $blocks -ge 2 ] || fail 'no document shows a configuration file'
[ $count -gt 15 ] || fail "only $count examples could be run"
echo "$count examples were run"
