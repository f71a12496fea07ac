#!/bin/bash
# SPDX-License-Identifier: MIT
# `novacore profile`: the nine, custom ones, inheritance, adapting to a workload; and what is refused.
. "$(dirname "$0")/../run/lib.sh"
own=$NOVACORE_HOME/config/profiles
mkdir -p "$own"

# wrong TEXT ARGUMENT…: exit code 2 and a message that contains it
wrong() {
  local text=$1
  shift
  expect 2 "$novacore" "$@"
  says "$text"
}

note 'lists the nine, with their short names'
expect 0 "$novacore" profile list --format json
check out 'set(p["name"] for p in r) == {"development", "testing", "staging", "production", "hpc", "cloud", "edge", "ml-training", "ml-inference"}'
check out '{p["short"] for p in r if p["short"]} == {"dev", "test", "stage", "prod", "ml"}'
check out 'all(p["summary"] and p["from"] == "plugin" and not p["problem"] for p in r)'
expect 0 "$novacore" profile list
says 'ml-training'

note 'short names mean the same profile'
for pair in dev:development test:testing stage:staging prod:production ml:ml-training; do
  expect 0 "$novacore" config show --profile "${pair%%:*}" --format json
  check out "r['profile'] == '${pair##*:}'"
done
expect 0 "$novacore" config show --set profile=prod utilization.cpu
says '0.8'

note 'shows what a profile sets, and from where'
expect 0 "$novacore" profile show hpc --format json
check out 'r["name"] == "hpc" and r["inherits"] is None'
check out '{s["key"]: s["value"] for s in r["settings"]}["run.budget"] == 600 * 10**9'
check out 'all(s["origin"].startswith("profile hpc:") for s in r["settings"])'

note 'creates a profile from a base'
expect 0 "$novacore" profile create nightly --from testing --set run.samples=50 \
  --set vm.big.memory=4GiB --set run.shape=big --set limits.memory_share=1 \
  --set 'tune.allow=cpu,io' --set 'guest.cmdline=say "hi" \ there' \
  --set goal.lifecycle.start.ready=20s,30s --set run.full=true
[ -f "$own/nightly.conf" ] || fail "no file was written"
expect 0 "$novacore" profile show nightly --format json
cp out nightly.json
check nightly.json 'r["inherits"] == "testing" and r["file"].endswith("nightly.conf")'
value() { check nightly.json "{s['key']: s['value'] for s in r['settings']}['$1'] == $2"; }
value run.samples 50
value vm.big.memory 4*1024**3
value run.shape '"big"'
value limits.memory_share 1.0
value tune.allow '["cpu", "io"]'
value guest.cmdline '"say \"hi\" \\ there"'
value run.full True
value alert.cpu 0.9
check nightly.json '{s["key"]: s["text"] for s in r["settings"]}["goal.lifecycle.start.ready"] == "20s,30s"'
check nightly.json 'any(s["origin"].startswith("profile testing:") for s in r["settings"])'
expect 0 "$novacore" config show --profile nightly --origin run.samples
says 'nightly.conf:'
expect 0 "$novacore" config check "$own/nightly.conf"
says 'ok, a profile that inherits testing'

note 'inherits over several steps'
expect 0 "$novacore" profile create deeper --from nightly --set run.samples=7
expect 0 "$novacore" config show --profile deeper run.samples run.shape run.warmup --format json
check out '{s["key"]: s["value"] for s in r["settings"]} == {"run.samples": 7, "run.shape": "big", "run.warmup": 1}'

note 'the layers above a profile win'
printf 'profile = "deeper";\nrun = { samples = 9; };\n' >mine.conf
expect 0 "$novacore" config show --config mine.conf run.samples --format json
check out 'r["profile"] == "deeper" and r["settings"][0]["value"] == 9'
expect 0 "$novacore" config show --config mine.conf --profile hpc --set run.samples=8 run.samples --format json
check out 'r["profile"] == "hpc" and r["settings"][0]["value"] == 8'

note 'refuses names that are taken, short, or no names'
wrong 'is a profile nightly already' profile create nightly --from dev
expect 0 "$novacore" profile create nightly --from dev --force
wrong 'a plugin provides the profile hpc' profile create hpc --from dev --force
wrong 'is short for the profile ml-training' profile create ml --from dev
wrong 'cannot be the name of a profile' profile create ../x --from dev
wrong 'cannot be the name of a profile' profile create X --from dev
wrong 'did you mean "hpc"' profile create a --from hpcc
wrong 'did you mean "hpc"' profile show hpcc
wrong 'which is or inherits nightly' profile create nightly --from deeper --force
wrong 'did you mean run.samples?' profile create a --from dev --set run.sampels=3
wrong 'a profile cannot choose a profile' profile create a --from dev --set profile=hpc
wrong 'needs --from' profile create a
wrong 'needs a name' profile create
wrong 'needs to know what to do' profile
wrong 'did you mean list?' profile lst
wrong 'unexpected argument' profile list x
wrong 'not known to profile' profile list --format markdown
[ ! -e "$own/a.conf" ] || fail "a refused profile was written"

note 'says what is wrong with a file'
bad() { # NAME TEXT MESSAGE
  printf "$2" >"$own/$1.conf"
  wrong "$3" profile show "$1"
  wrong "$3" config check "$own/$1.conf"
}
printf 'inherits = "circle-a";' >"$own/circle-b.conf"
bad circle-a 'inherits = "circle-b";' 'profiles inherit from each other in a circle'
bad itself 'inherits = "itself";' 'itself'
bad orphan 'inherits = "nothing-such";' 'there is no environment profile "nothing-such"'
bad typo '\n\nrun = { sampels = 5; };' 'typo.conf:3: there is no setting run.sampels'
bad syntax 'run = { samples = ; };' 'syntax.conf:1: not understood'
bad number 'run = { samples = 17179869184; };' 'number.conf:1: 17179869184 is too large'
bad list 'inherits = ["hpc"];' 'list.conf:1: inherits'
bad hpc 'run = { samples = 5; };' 'a plugin provides a profile "hpc" already'
rm "$own/hpc.conf"
expect 0 "$novacore" profile show hpc
bad Bad_Name 'run = { samples = 5; };' 'rename it'
printf 'run = { samples = 5; };' >"$own/dev.conf"
wrong 'is short for the profile development' config check "$own/dev.conf"
expect 0 "$novacore" profile list
says 'cannot be used'
expect 0 "$novacore" profile show testing
rm "$own"/*.conf

note 'adapts to a workload, with a reason for each change'
for kind in cpu-intensive memory-intensive io-intensive network-intensive ml latency-sensitive; do
  expect 0 "$novacore" profile optimize edge --workload $kind --dry-run --format json
  check out 'r["changes"] and all(c["key"] and c["to"] and len(c["why"]) > 10 for c in r["changes"]) and not r["written"]'
  [ ! -e "$own/edge-$kind.conf" ] || fail "a dry run wrote a file"
  expect 0 "$novacore" profile optimize edge --workload $kind --format json
  cp out changes.json
  check changes.json "r['written'] and r['name'] == 'edge-$kind'"
  expect 0 "$novacore" config show --profile edge-$kind --format json
  python3 - changes.json out <<'CHECK' || fail "edge-$kind does not have what was announced"
import json, sys
changes = json.load(open(sys.argv[1]))["changes"]
now = {s["key"]: s["text"] for s in json.load(open(sys.argv[2]))["settings"]}
for c in changes:
    if now[c["key"]] != c["to"]:
        sys.exit(f'{c["key"]}: {now[c["key"]]} is not {c["to"]}')
CHECK
  expect 0 "$novacore" config check "$own/edge-$kind.conf"
  expect 0 "$novacore" profile optimize edge-$kind --workload $kind
  says 'nothing to change'
done
expect 0 "$novacore" profile optimize production --workload cpu-intensive,latency-sensitive --as both
grep -q '# queues grow' "$own/both.conf" || fail "the file does not say why"
wrong 'is a profile both already' profile optimize production --workload ml --as both
wrong 'did you mean "ml"' profile optimize production --workload mll
wrong 'no rules for the workload ""' profile optimize production --workload ''
wrong 'needs --workload' profile optimize production

note 'says so when the file cannot be written'
if [ "$(id -u)" != 0 ]; then
  chmod 500 "$own"
  expect 3 "$novacore" profile create locked --from dev
  says 'permission denied'
  chmod 700 "$own"
fi
rm -rf "$own" && printf x >"$own"
code=0
"$novacore" profile create blocked --from dev >out 2>err || code=$?
[ $code != 0 ] || fail "wrote into a file as if it were a folder"
