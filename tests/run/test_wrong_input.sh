#!/bin/bash
# SPDX-License-Identifier: MIT
# Every wrong word gets a message that says what to do, the right exit code, and changes nothing.
. "$(dirname "$0")/lib.sh"

# wrong CODE TEXT ARGUMENT…
wrong() {
  local code=$1 text=$2
  shift 2
  expect "$code" "$novacore" "$@"
  says "$text"
}
wrong 2 'did you mean "run"' rum
wrong 2 'did you mean --profile' --porfile dev
wrong 2 'needs a value' --profile
wrong 2 'there is nothing to run on' --profile dev
wrong 2 'did you mean' --profile hpx --plugin sim
wrong 2 'sim' --profile dev --plugin sin
wrong 2 'lifecycle' --profile dev --plugin sim --benchmark lifecycel
wrong 2 '--uri goes with --plugin' --uri x
wrong 2 '--seed wants' --plugin sim --seed -1
wrong 2 '--seed wants' --plugin sim --seed seven
wrong 2 '--format takes' --plugin sim --format xml
wrong 2 '--fail-on takes' --plugin sim --fail-on anything
wrong 2 'run.samples' --plugin sim --set run.sampels=3
wrong 2 'run.samples' --plugin sim --set run.samples=0
wrong 2 'run.samples' --plugin sim --set run.samples=many
wrong 2 'run.budget' --plugin sim --set run.budget=10
wrong 2 'clock' --plugin sim --set hypervisor.sim.clock=fast
wrong 2 'hypervisor.sim.clock' --plugin sim --set hypervisor.sim.clok=real
wrong 2 'there is no target "lab"' --target lab
wrong 2 'takes no other choice' --resume last --plugin sim
wrong 2 'unexpected argument' run --plugin sim extra
wrong 5 'limits.max_vms' --plugin sim --set lifecycle.concurrency=50 --max-vms 10
wrong 2 'no-such-file' --plugin sim --config no-such-file.conf
wrong 2 'it can be raw' guest build --format vdi
wrong 2 'are for a disk' guest build --compress
wrong 2 'whole MiB' guest build --format raw --size 1000kB
wrong 2 'cannot write the disk' guest build --format raw --output no-such-directory/x
printf 'run = { samples = 3; smaples = 4; };\n' >wrong.conf
wrong 2 'wrong.conf:1' --plugin sim --config wrong.conf
printf 'run = { samples = 3\n' >broken.conf
wrong 2 'broken.conf' --plugin sim --config broken.conf
[ ! -e "$NOVACORE_HOME/state/novacore.db" ] || fail "wrong input made a store"
wrong 2 'there is' run --resume 0000

note "a directory that cannot be written"
if [ "$(id -u)" != 0 ]; then
  mkdir -p closed && chmod 500 closed
  expect 3 env NOVACORE_HOME="$scratch/closed/home" "$novacore" --profile dev --plugin sim
  says 'closed'
fi
note "a store that is no database"
mkdir -p "$NOVACORE_HOME/state"
printf 'this is no database, and has been none for a long time\n' >"$NOVACORE_HOME/state/novacore.db"
code=0
"$novacore" --profile dev --plugin sim >out 2>err </dev/null || code=$?
[ $code = 4 ] || [ $code = 3 ] || fail "exit code $code for a damaged store"
says 'novacore.db'
grep -q 'this is no database' "$NOVACORE_HOME/state/novacore.db" || fail "the damaged store was changed"
rm -f "$NOVACORE_HOME/state/novacore.db"

note "output that cannot be written loses no result"
code=0
"$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --set run.samples=6 \
  --output /nonexistent/r.json >out 2>err </dev/null || code=$?
[ $code != 0 ] || fail "exit code 0 although the output could not be written"
says '/nonexistent/r.json'
expect 0 "$novacore" results show last
