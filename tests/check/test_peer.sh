# SPDX-License-Identifier: MIT
# test_peer.sh NOVACORE BUILD SOURCE: the Proxmox VE driver, whose ops are requests and tasks to be polled,
# against the peer of tests/peers/proxmox: all that sim is tried for.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
source=$3/tests/peers/proxmox peer=$2/peers/proxmox
"$source/prepare.sh" "$peer" || exit $?

mkfifo alive
(cd "$peer" && exec node "$source/server.js" --schema schema.json --cert cert.pem --key cert-key.pem) \
  <alive >ports 2>peer.log &
exec 9>alive
trap 'status=$?; exec 9>&-; wait; rm -rf --one-file-system "$scratch"; exit $status' EXIT
for _ in $(seq 100); do
  [ -s ports ] && break
  sleep 0.1
done
read -r _ port control <ports

export PEER_TOKEN=11111111-2222-3333-4444-555555555555
code=0
timeout -k 1 250 "$novacore" plugin check "$2/lib/novacore/plugins/1/hypervisor/proxmox.so" \
  --set "uri=https://127.0.0.1:$port" --set 'token_id=bench@pve!novacore' --set token=env:PEER_TOKEN \
  --set "ca_file=$peer/cert.pem" --set template=debian12 --set agent=true --set poll_first=20ms \
  --set poll_longest=50ms --set poll_ready=20ms --image debian12 --op-timeout 10s --json \
  >r.json 2>err </dev/null 9>&- || code=$?
json r.json "'\n'.join('%-20s %-9s %s' % (c['name'], c['result'], c['why'] or '') for c in r['checks'] if c['result'] != 'passed')"
[ $code = 0 ] || { cat err >&2; fail "exit code $code"; }
check r.json "r['counts']['failed'] == 0 and r['counts']['passed'] > 45"
left=$(python3 -c 'import json,sys,urllib.request as u; print(len(json.load(u.urlopen(sys.argv[1]))))' "http://127.0.0.1:$control/vms")
[ "$left" = 1 ] || fail "$left VMs at the peer instead of the template alone"
! grep -q "$PEER_TOKEN" r.json err || fail "the token is shown"
