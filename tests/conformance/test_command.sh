# SPDX-License-Identifier: MIT
# test_command.sh NOVACORE BUILD SOURCE: how conformance is asked for, what it prints, and wrong words.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
check() { "$novacore" plugin check "$@"; }
truth() { [ "$(json out "$1")" = True ] || fail "not so: $1"; }

note "one case, with what it stands on"
expect 0 check --conformance sim= --set clock=virtual --vms 5 --only connect,work,many-vms --format json
truth "r['schema'] == 'novacore.conformance/1' and r['plugin']['name'] == 'sim' and r['target'] == 'sim='"
truth "[(c['name'], c['result']) for c in r['cases']] == [('connect', 'pass'), ('work', 'pass'), ('many-vms', 'pass')]"
truth "r['quick'] is False"
truth "r['cases'][2]['topic'] == 'many VMs' and r['cases'][2]['why'] == '5 VMs' and r['counts']['pass'] == 3"
expect 0 check --conformance sim= --set hypervisor.sim.clock=virtual --vms 5 --only peer-dies,connect,work
says "not-supported"
says "it speaks no HTTPS"
says "2 pass, 0 fail, 1 not supported"

note "a configured target; the command line goes before the file"
printf 'target = { lab = { plugin = "sim"; clock = "real"; fail = "yes"; }; };\n' >wrong.conf
expect 2 check --conformance lab --config wrong.conf
says "wrong.conf:1"
printf 'target = { lab = { plugin = "sim"; clock = "real"; }; };\n' >lab.conf
expect 0 check --conformance lab --config lab.conf --set clock=virtual --only connect,work --json
expect 2 check --conformance lba --config lab.conf
says 'did you mean "lab"'

note "a driver that is not installed, by its file"
expect 0 check --conformance "$2/lib/novacore/plugins/1/hypervisor/sim.so=sim:local" --set clock=virtual \
  --only connect,work --json
truth "r['counts']['pass'] == 2"

note "sessions are ended by a command"
expect 0 check --conformance sim= --set clock=virtual --only connect,work,session-expired \
  --expire-session "echo ended >>$scratch/ended" --json
truth "r['counts']['pass'] == 3"
[ "$(grep -c ended ended)" = 2 ] || fail "the command was not run twice"
expect 0 check --conformance sim= --set clock=virtual --only connect,work,session-expired --json \
  --expire-session 'echo "nobody logs in here" >&2; false'
truth "r['cases'][2]['result'] == 'not-supported' and 'nobody logs in here' in r['cases'][2]['why']"
expect 0 check --conformance sim= --set clock=virtual --only connect,work,session-expired --expire-session false --json
truth "r['cases'][2]['result'] == 'not-supported' and 'no reason' in r['cases'][2]['why']"

note "what cannot be connected to was not tried, and is no pass"
export SCRATCH_TOKEN=token-of-this-test
expect 3 check --conformance proxmox=https://127.0.0.1:1 --set token_id=a@b\!c --set token=env:SCRATCH_TOKEN --json
truth "r['counts']['fail'] == 0 and [c['result'] for c in r['cases'] if c['name'] in ('connect', 'work')] == ['not-tried'] * 2"
! grep -q "$SCRATCH_TOKEN" out err || fail "the token is shown"

note "wrong words"
expect 2 check --conformance sim= x.so
expect 2 check sim --vms 5
says "go with --conformance"
expect 2 check sim --config lab.conf
expect 2 check sim --quick
expect 2 check sim --expire-session true
says "go with --conformance"
expect 2 check --conformance ""
expect 2 check --conformance =
expect 2 check --conformance lab --config no-such.conf
says "no-such.conf"
expect 2 check --conformance lifecycle=
expect 2 check --conformance "$2/lib/novacore/plugins/1/hypervisor/no-such.so=sim:"
expect 2 check --conformance "$2/lib/novacore/plugins/1/benchmark/lifecycle.so="
says "only drivers"
expect 2 check --conformance sim= --expire-session ""
says "takes a command"
expect 2 check --conformance sim= --expire-session
expect 2 check --conformance sim= --vms 99999999999999999999
expect 2 check --conformance sim= --vms -1
expect 2 check --conformance sim= --vms ""
expect 2 check --conformance sim= --format xml
expect 2 check --conformance sim= --vms 0
expect 2 check --conformance sim= --vms many
expect 2 check --conformance sim= --set clock=reel
expect 2 check --conformance sim= --set clok=real
expect 2 check --conformance sim= --only no-such
expect 2 check --conformance nosuch=x
expect 2 check --conformance
