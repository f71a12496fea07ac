# SPDX-License-Identifier: MIT
# test_command.sh NOVACORE BUILD: the command itself: what it says of files that are none, of wrong
# usage, and what its results look like.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
good=$2/tests/check/plugins/1/benchmark/benchmark-good
copy() { rm -rf copy && mkdir copy && cp "$good.so" "$good.manifest" copy/; }

note "usage"
expect 0 "$novacore" plugin check --help
says "add_test(NAME contract"
expect 2 "$novacore" plugin check
says "needs the plugin's file"
expect 2 "$novacore" plugin check a b
says "one file at a time"
expect 2 "$novacore" plugin check sim --onyl x
says "--only"
expect 2 "$novacore" plugin check sim --only vm-lits
says "did you mean vm-list"
expect 2 "$novacore" plugin check sim --only
expect 2 "$novacore" plugin check "$good.so" --only vm-list
says "no such check for a benchmark"
expect 2 "$novacore" plugin check sim --format xml
says "table and json"
expect 2 "$novacore" plugin check sim --set seed
says "NAME=VALUE"
expect 2 "$novacore" plugin check sim --set sead=1
says "seed"
expect 2 "$novacore" plugin check sim --set seed=x
expect 2 "$novacore" plugin check sim --op-timeout 5
says "--op-timeout"
expect 2 "$novacore" plugin check sim --op-timeout 5d
says "too large"
expect 2 "$novacore" plugin check sim --memory-limit 1MiB
says "too small"
expect 2 "$novacore" plugin check nosuch
says "no file and no plugin"
expect 2 "$novacore" check-one </dev/null
says "plugin check --help"

note "lists"
expect 0 "$novacore" plugin check --list
says "vm-hostile-names"
says "interrupted"
expect 0 "$novacore" plugin check --list "$good.so"
says "interrupted"
! grep -q vm-power out || fail "a benchmark has no check of VMs"

note "files that are none"
expect 2 "$novacore" plugin check ./nosuch.so
says "no such file"
mkdir folder
expect 2 "$novacore" plugin check folder
says "is a directory"
echo text >text.so
expect 5 "$novacore" plugin check text.so
says "not-elf"
copy
head -c 5000 "$good.so" >copy/benchmark-good.so
expect 5 "$novacore" plugin check copy/benchmark-good.so
copy
ln -s benchmark-good.so copy/link.so
expect 5 "$novacore" plugin check copy/link.so
says "symlink"
! grep -q '^load *passed' out || fail "a link must not be loaded"

note "a file that others could have written is not given control"
copy
chmod o+w copy/benchmark-good.so
expect 5 "$novacore" plugin check copy/benchmark-good.so --json
check out "next(c for c in r['checks'] if c['name'] == 'file')['why'].endswith('(writable)')"
check out "next(c for c in r['checks'] if c['name'] == 'load')['result'] == 'not-tried'"

note "without a manifest the rest is tried all the same"
copy
rm copy/benchmark-good.manifest
expect 5 "$novacore" plugin check copy/benchmark-good.so --json
check out "[c['name'] for c in r['checks'] if c['result'] == 'failed'] == ['manifest']"
check out "next(c for c in r['checks'] if c['name'] == 'work')['result'] == 'passed'"

note "a manifest of another file"
copy
echo >>copy/benchmark-good.so
expect 5 "$novacore" plugin check copy/benchmark-good.so --json
check out "[c['name'] for c in r['checks'] if c['result'] == 'failed'] == ['manifest']"
check out "'(hash)' in next(c for c in r['checks'] if c['name'] == 'manifest')['why']"

note "a file of another name"
copy
mv copy/benchmark-good.so copy/libBad.so
mv copy/benchmark-good.manifest copy/libBad.manifest
expect 5 "$novacore" plugin check copy/libBad.so --json
check out "[c['name'] for c in r['checks'] if c['result'] == 'failed'] == ['file', 'manifest']"

note "results"
copy
expect 0 "$novacore" plugin check copy/benchmark-good.so --only file,load --json
check out "r['schema'] == 'novacore.check/1' and r['abi']['major'] == 1"
check out "[c['name'] for c in r['checks']] == ['file', 'load'] and all(c['seconds'] >= 0 for c in r['checks'])"
check out "r['plugin']['sha256'] == '$(sha256sum <copy/benchmark-good.so | cut -d' ' -f1)'"
check out "r['counts'] == {'passed': 2, 'failed': 0, 'not_tried': 0} and r['exit_code'] == 0"
(cd copy && expect 0 "$novacore" plugin check benchmark-good.so --only work)
expect 0 "$novacore" plugin check sim --only work --set hypervisor.sim.clock=virtual
says "1 passed, 0 failed"
expect 0 "$novacore" plugin check sim --quiet --only load
[ "$(grep -c . out)" = 1 ] || fail "--quiet prints only what failed, and the summary"

note "a secret is read where it is kept, and never shown"
proxmox=$2/lib/novacore/plugins/1/hypervisor/proxmox.so
if [ -e "$proxmox" ]; then
  export CHECK_SECRET=a-very-secret-text
  expect 3 "$novacore" plugin check "$proxmox" --only work --set uri=https://127.0.0.1:1 \
    --set 'token_id=a@b!c' --set token=env:CHECK_SECRET
  ! grep -q a-very-secret out err || fail "the secret is shown"
fi
