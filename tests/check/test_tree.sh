# SPDX-License-Identifier: MIT
# test_tree.sh NOVACORE BUILD: the plugins of this tree keep the contract. sim, which needs no target,
# is tried in full; drivers of real hypervisors as far as it goes without one.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
plugins=$2/lib/novacore/plugins/1

# passes NAME FILE OPTION…: exit code $wanted (0) and nothing failed; the result is in r.json.
passes() {
  local name=$1 file=$2 code=0 wanted=${wanted:-0}
  shift 2
  timeout -k 1 200 "$novacore" plugin check "$file" "$@" --json >r.json 2>err </dev/null || code=$?
  [ $code = "$wanted" ] || { tail -n 5 err >&2
    json r.json "[(c['name'], c['why']) for c in r['checks'] if c['result'] == 'failed']" >&2
    fail "$name: exit code $code"; }
  check r.json "r['counts']['failed'] == 0 and r['exit_code'] == $wanted"
}

note "sim, everything"
passes sim "$plugins/hypervisor/sim.so"
lacks="['image', 'network']"
check r.json "[c['name'] for c in r['checks'] if c['result'] == 'not-tried'] == $lacks and r['counts']['passed'] > 50"
check r.json "r['plugin']['kind'] == 'hypervisor' and r['plugin']['name'] == 'sim'"
passes "sim with blocking ops" "$plugins/hypervisor/sim.so" --set ops=sync
check r.json "[c['name'] for c in r['checks'] if c['result'] == 'not-tried'] == $lacks"
passes "sim without snapshots" "$plugins/hypervisor/sim.so" --set without=snapshot,pause
check r.json "[c['name'] for c in r['checks'] if c['result'] == 'not-tried'] == ['vm-pause', 'snapshot', 'image', 'network']"

for file in "$plugins"/*/*.so; do
  name=$(basename "$file" .so)
  case $file in
  */hypervisor/sim.so) continue ;;
  */hypervisor/kvm.so)
    note "kvm, with a target that is not there"
    wanted=3 passes kvm "$file" --set "uri=qemu+unix:///system?socket=$scratch/none"
    check r.json "[c['result'] for c in r['checks'] if c['name'] in ('create', 'connect', 'work')] == ['passed', 'not-tried', 'not-tried']"
    continue ;;
  esac
  note "$name"
  passes "$name" "$file"
  case $file in
  */benchmark/*) check r.json "r['counts']['not_tried'] == 0 and r['counts']['passed'] > 30" ;;
  */profile/*) check r.json "r['counts']['not_tried'] == 0 and r['counts']['passed'] > 20" ;;
  esac
done
