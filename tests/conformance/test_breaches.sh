# SPDX-License-Identifier: MIT
# test_breaches.sh NOVACORE BUILD SOURCE: a driver that breaks one thing fails the case of it, and one that
# keeps them all fails none. Their peer is web.py, behind the validator's relay.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
plugins=$2/tests/conformance/plugins/1/hypervisor
. "$3/tests/peers/common/certificates.sh"

mkfifo alive
python3 "$here/web.py" cert.pem cert-key.pem <alive >port 2>peer.log &
exec 9>alive
trap 'status=$?; exec 9>&-; wait; [ $status = 0 ] || cat peer.log; rm -rf --one-file-system "$scratch"; exit $status' EXIT
for _ in $(seq 100); do
  [ -s port ] && break
  sleep 0.1
done
read -r _ port <port
export WEB_TOKEN=web-token-0123456789
first=load,sizes,probe,create,connect,work

# broken WHAT CASE… -- WORDS: with that breach just these of the cases that are tried fail, and say WORDS.
broken() {
  local what=$1 code=0 failed wanted
  shift
  wanted=$1
  timeout -k 1 280 "$novacore" plugin check --conformance "$plugins/web-$what.so=https://127.0.0.1:$port" \
    --set token=env:WEB_TOKEN --set "ca_file=$scratch/cert.pem" --vms 30 --op-timeout 5s --json \
    --expire-session "echo >>$scratch/ended" ${wanted:+--only "$first,${wanted// /,}"} >"$what.json" 2>"$what.err" </dev/null 9>&- || code=$?
  failed=$(json "$what.json" "' '.join(c['name'] for c in r['cases'] if c['result'] == 'fail')") || {
    cat "$what.err" >&2; echo "web-$what: no result, exit code $code" >&2; touch failed; return; }
  if [ "$failed" != "$wanted" ] || [ $code != "$([ -n "$wanted" ] && echo 4 || echo 0)" ]; then
    echo "web-$what: failed are \"$failed\", should be \"$wanted\"; exit code $code" >&2
    json "$what.json" "'\n'.join(c['name'] + ': ' + c['why'] for c in r['cases'] if c['result'] == 'fail')" >&2
    touch failed
    return
  fi
  [ -z "$wanted" ] || json "$what.json" "next(c['why'] for c in r['cases'] if c['result'] == 'fail')" | grep -qF -- "$2" || {
    json "$what.json" "next(c['why'] for c in r['cases'] if c['result'] == 'fail')" >&2
    echo "web-$what: does not say \"$2\"" >&2; touch failed; }
  grep -qF "$WEB_TOKEN" "$what.json" "$what.err" && { echo "web-$what: the token is shown" >&2; touch failed; }
  printf '   %-12s %s\n' "$what" "${failed:-(nothing)}"
}
mine=()
try() { broken "$@" & mine+=($!); }
settle() { wait "${mine[@]}"; mine=(); }
try good ""
try insecure wrong-certificate "it connects to a peer with a certificate of an unknown authority"
try nameless wrong-certificate "it connects to a peer with a certificate for another name"
try follows redirect "sends the secret \`token\` there"
settle
try trusting "garbage server-errors" "it is NOVA_DONE"
try half half-body "it is NOVA_DONE"
try patient slow-bytes "5 s after"
try resends peer-dies "there are two VMs of the name"
settle
try twice same-at-once "both NOVA_DONE"
try disorder vm-wrong-order "RESET of a VM that is off is NOVA_DONE"
try sweeps sweep-foreign "vm_query"
try first-page many-vms "vm_list shows 20 VMs where there are 30"
settle
try once again "OFF of a VM that is off failed"
try late each-deadline "vm_query STATE with a deadline of"
try deaf each-cancelled "vm_query STATE cancelled after"
settle
try forgets session-expired "who are you?" # it ends everybody's sessions
settle
[ ! -e failed ] || fail "see above"
