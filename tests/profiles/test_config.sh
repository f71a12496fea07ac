#!/bin/bash
# SPDX-License-Identifier: MIT
# `novacore config`: layers with their origins, checking files, listing keys.
. "$(dirname "$0")/../run/lib.sh"
mkdir -p "$NOVACORE_HOME/config"

wrong() {
  local text=$1
  shift
  expect 2 "$novacore" "$@"
  says "$text"
}
# file TEXT: a configuration file of that content
file() { printf "$1" >a.conf; }

note 'help teaches by example'
expect 0 "$novacore" config --help
says 'memory = "4GiB"'
says 'novacore config show'
expect 0 "$novacore" profile --help
says 'novacore profile create'

note 'shows where each value is from'
printf '# mine\nrun = {\n  samples = 4; warmup = 4;\n  level = 0.9;\n};\n' >"$NOVACORE_HOME/config/novacore.conf"
file 'run = { warmup = 5; };\nvm = { big = { vcpus = 2; }; };\n'
expect 0 "$novacore" config show --config a.conf --set run.level=0.8 --origin run vm --format json
origin() { check out "{s['key']: s['origin'] for s in r['settings']}['$1'] $2"; }
origin run.samples '.endswith("/novacore.conf:3")'
origin run.warmup '== "a.conf:1"'
origin run.level '== "--set"'
origin run.full '== "default"'
origin run.budget '.startswith("profile development:")'
origin vm.big.vcpus '== "a.conf:2"'
origin vm.big.memory '== "default"'
expect 0 "$novacore" config show --origin run.samples
says 'novacore.conf:3'
expect 0 "$novacore" config show --profile hpc --origin profile
says '--profile'
rm "$NOVACORE_HOME/config/novacore.conf"

note 'shows groups, single keys, and all'
expect 0 "$novacore" config show limits run.samples --format json
check out 'all(s["key"].startswith("limits.") or s["key"] == "run.samples" for s in r["settings"])'
check out 'len(r["settings"]) >= 4'
expect 0 "$novacore" config show --format json
check out 'all(s["origin"] for s in r["settings"])'
cp out some.json
expect 0 "$novacore" config show --all --format json
check out 'any(s["origin"] is None for s in r["settings"])'
wrong 'no setting and no group "rum"' config show rum
wrong 'did you mean show?' config shwo
wrong 'needs to know what to do' config

note 'checks a file: ok, or the first mistake with its line'
file 'profile = "hpc";\nrun = { samples = 20; budget = "5min"; };\n'
expect 0 "$novacore" config check a.conf
says 'a.conf: ok'
bad() { file "$1"; wrong "$2" config check a.conf; wrong "$2" config show --config a.conf; }
bad 'run = {\n samples = 0; };' 'a.conf:2: run.samples: 0 is out of range (1 to 100000)'
bad '\nrun = { budget = 30; };' 'a.conf:2: run.budget: "30" is not a duration'
bad 'run = { sampels = 3; };' 'did you mean run.samples?'
bad 'vm = { big = { memory = 17179869184; }; };' 'a.conf:1: 17179869184 is too large'
bad 'vm = { big = { memory = 16GiB; }; };' 'in quotes: "16GiB"'
bad 'run = { samples = 5; samples = 6; };' 'already set'
bad '@include "b.conf"' '@include is not supported'
bad 'run.samples = 5;' 'keys have no dots in a file'
bad 'target = { lab = { plugin = "no-such"; }; };' 'no hypervisor plugin "no-such" is installed'
bad 'hypervisor = { no-such = { x = 1; }; };' 'no hypervisor plugin "no-such" is installed'
bad 'run = { shape = "no-such"; };' 'there is no VM shape "no-such"'
bad 'profile = "no-such";' 'there is no environment profile "no-such"'
bad 'inherits = 5;' 'inherits'
bad 'goals = ( { metric = "lifecycle.start.ready"; pass = "soon"; } );' '"soon" is not a limit'
bad '\377' 'not UTF-8'
file 'run = { suite = ["no-such"]; };'
wrong 'the benchmark "no-such" is not installed' config check a.conf
wrong 'cannot open none.conf' config check none.conf
wrong 'takes one file' config check
wrong 'takes one file' config check a.conf b.conf

note 'checks goals against the metrics of what is installed'
if "$novacore" config keys benchmark.lifecycle >/dev/null 2>&1; then
  bad 'goals = ( { metric = "lifecycle.start.redy"; pass = "5s"; } );' 'did you mean lifecycle.start.ready?'
  bad 'goals = ( { metric = "lifecycle.start.ready"; pass = "5MB/s"; } );' 'is measured in s'
  bad 'goals = ( { metric = "lifecycle.start.ready"; pass = "5s"; acceptable = "2s"; } );' 'harder to reach'
  expect 0 "$novacore" config show --set lifecycle.concurrency=1,20 benchmark.lifecycle.concurrency
  says '1,20'
  wrong 'between commas' config show --set 'lifecycle.concurrency=[1,20]'
fi

note 'wrong settings are refused before anything is done'
wrong '--set: run.samples: "many" is not a whole number' config show --set run.samples=many
wrong 'has no "="' config show --set run.samples
wrong 'did you mean run.samples?' config show --set run.sampels=3

note 'limits are refused with arithmetic, before anything is created'
if "$novacore" config keys hypervisor.kvm >/dev/null 2>&1; then
  expect 5 "$novacore" --plugin kvm --set limits.cpu_share=0.01 --set lifecycle.concurrency=2
  says 'limits.cpu_share allows'
  says '2 VMs at once with 1 virtual CPUs each are 2'
  expect 5 "$novacore" --plugin kvm --set vm.standard.memory=60TiB --profile testing
  says 'limits.memory_share allows'
fi

note 'what cannot be read is named, with exit code 3'
if [ "$(id -u)" != 0 ]; then
  file 'run = { samples = 3; };' && chmod 000 a.conf
  expect 3 "$novacore" config show --config a.conf
  says 'permission denied'
fi

note 'lists keys, those of plugins by group'
expect 0 "$novacore" config keys --format json
check out '{"run.samples", "limits.max_vms", "vm.NAME.memory", "target.NAME.plugin"} <= {k["key"] for k in r}'
check out 'all(k["meaning"] and k["type"] for k in r)'
expect 0 "$novacore" config keys run
says 'fresh VMs measured per metric'
wrong 'no setting and no group "rum"' config keys rum
wrong 'not known to config keys' config keys --format xml
