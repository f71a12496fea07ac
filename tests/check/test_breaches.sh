# SPDX-License-Identifier: MIT
# test_breaches.sh NOVACORE BUILD: each plugin that breaks a promise fails the check of that promise,
# and no other; what costs the process leaves what stands on it untried.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
mine=$2/tests/check/plugins/1 hostile=$2/tests/hostile/plugins/1/benchmark
mkdir vms

lanes=$(($(nproc) * 2)) # most of the time is spent waiting
jobs_started=0

# breaks FILE "CHECK…" CODE WORDS OPTION…: exactly these fail, with that exit code; the first says WORDS,
# and the Python expression $also, if set, is true of the result. In the background.
breaks() {
  while [ "$(jobs -rp | wc -l)" -ge $lanes ]; do wait -n || true; done
  jobs_started=$((jobs_started + 1))
  {
    (
      trap - EXIT
      scratch=$scratch/$jobs_started
      mkdir "$scratch"
      cd "$scratch"
      try "$@"
    ) || touch failed
  } &
}
settle() {
  wait
  [ ! -e failed ] || fail "see above"
}
try() {
  local file=$1 wanted=$2 exit=$3 words=$4 code=0 failed
  shift 4
  timeout -k 1 300 "$novacore" plugin check "$file" "$@" --json >r.json 2>err </dev/null || code=$?
  failed=$(json r.json "' '.join(c['name'] for c in r['checks'] if c['result'] == 'failed')") || {
    cat err >&2; fail "$file: no result, exit code $code"; }
  [ "$failed" = "$wanted" ] || {
    json r.json "'\n'.join(c['name'] + ': ' + c['why'] for c in r['checks'] if c['result'] == 'failed')" >&2
    fail "$file: failed are \"$failed\", should be \"$wanted\""; }
  [ $code = "$exit" ] || fail "$file: exit code $code, not $exit"
  [ -z "$wanted" ] ||
    check r.json "'''$words''' in next(c['why'] for c in r['checks'] if c['result'] == 'failed')"
  [ -z "${also:-}" ] || check r.json "$also"
  printf '   %-28s %s\n' "$(basename "$file" .so)" "${failed:-(nothing)}"
}
driver() {
  mkdir "$scratch/vms/$1"
  breaks "$mine/hypervisor/hypervisor-$1.so" "$2" "${3:-4}" "${4:-}" --set "uri=$scratch/vms/$1" \
    --op-timeout 2s "${@:5}"
}

note "drivers"
also="[c['name'] for c in r['checks'] if c['result'] == 'not-tried'] == ['vm-pause', 'vm-reset', 'vm-shutdown', 'snapshot', 'clone', 'exec', 'knobs', 'image', 'network', 'twin', 'migrate']" driver good "" 0
driver print output 4 'it wrote "connected!" to stdout'
driver thread threads 4 "left after destroy"
driver thread-once threads 4 "left after destroy"
driver descriptor descriptors 4 "/dev/null"
driver leak memory 4 "of memory behind"
driver locale locale 4 "C.UTF-8"
driver signal signals 4 "SIGUSR2"
driver mask signals 4 "SIGUSR1"
driver environment surroundings 4 "NOVACORE_HOSTILE"
driver directory surroundings 4 "working directory"
driver umask surroundings 4 "umask"
driver child children 4 "child process"
driver file files 4 "left-behind"
driver slow-probe probe 4 "it may take 1000"
driver probe-silent probe 4 "without a sentence"
driver probe-pending probe 4 "NOVA_PENDING"
driver exit-in-destroy create 4 "ended the process"
driver crash-in-destroy create 4 "SIGABRT while at \`destroy\`"
driver never-done "work nothing-left" 4 "had not ended 5 s after its deadline"
driver no-event work 4 "did not come"
driver no-status "work nothing-left" 4 "which is no status"
driver double-done contract 4 "done() twice"
driver late-put contract 4 "after the op has ended"
driver silent describe 4 "says nothing of the capability snapshot"
driver reasonless describe 4 "denied without a reason"
driver lies describe 4 "its op snapshot is NULL"
driver exists vm-create-twice 4 "instead of NOVA_E_EXISTS"
driver any-id vm-wrong-reference 4 "instead of NOVA_E_NOT_FOUND"
driver two-events vm-events 4 "came twice"
driver wake pump 4 "wake did not make a waiting pump return"
driver deadline deadline 4 "5 s after it"
driver cancel cancel 4 "5 s after its cancellation"
driver alone many-at-once 4 "SIGABRT"
breaks "$mine/hypervisor/hypervisor-no-uri.so" "parameters contract" 4 "\`uri\`"
driver range parameters 4 "outside of its own range"
driver default parameters 4 "is no value of it"
driver doc parameters 4 "without a full stop"
note "a driver that crashes with a VM on the target: it is found and deleted"
driver crash-in-power "work nothing-left" 4 "SIGABRT"
settle
[ -z "$(ls vms/crash-in-power)" ] || fail "left on the target: $(ls vms/crash-in-power)"
note "a driver that is not available here"
also="'the moon is full' in next(c['why'] for c in r['checks'] if c['name'] == 'create')" \
  driver unavailable "" 3

note "benchmarks"
also="r['counts']['not_tried'] == 0" breaks "$mine/benchmark/benchmark-good.so" "" 0 ""
breaks "$mine/benchmark/benchmark-undeclared.so" contract 4 "not declared"
breaks "$mine/benchmark/benchmark-deaf.so" interrupted 4 "instead of NOVA_E_INTERRUPTED"
breaks "$mine/benchmark/benchmark-hides.so" "failing-calls timeouts" 4 "shows nothing of it"
breaks "$mine/benchmark/benchmark-width.so" width 4 "it made 1"
breaks "$mine/benchmark/benchmark-passes-failure.so" "" 0 ""
breaks "$mine/benchmark/benchmark-loop.so" "failing-calls timeouts interrupted" 4 "a replicate where vm_create ends" --time-limit 4s

note "optimizers"
also="r['counts']['not_tried'] == 0" breaks "$mine/optimizer/optimizer-good.so" "" 0 ""
breaks "$mine/optimizer/optimizer-object.so" examine-odd 4 "everything"
breaks "$mine/optimizer/optimizer-no-why.so" examine-odd 4 "does not say why"
breaks "$mine/optimizer/optimizer-gain.so" examine-odd 4 "its gain is 2"
breaks "$mine/optimizer/optimizer-trusts.so" examine-odd 4 "SIGABRT"
if [ "$(id -u)" = 0 ] && unshare -u sh -c "echo x >/proc/sys/kernel/domainname" 2>/dev/null; then # in a namespace: the name is nobody else's
  printf '#!/bin/sh\nexec unshare -u %s "$@"\n' "$novacore" >own-name && chmod 755 own-name
  novacore=$scratch/own-name breaks "$mine/optimizer/optimizer-applies.so" changes-nothing 4 "domainname"
fi

note "profiles"
also="r['counts']['not_tried'] == 0" breaks "$mine/profile/profile-good.so" "" 0 ""
breaks "$mine/profile/profile-key.so" settings 4 "samples"
breaks "$mine/profile/profile-syntax.so" settings 4 "1"
breaks "$mine/profile/profile-unit.so" settings 4 "30"
breaks "$mine/profile/profile-adapt-key.so" adapt 4 "smaples"
breaks "$mine/profile/profile-adapt-value.so" adapt 4 "many"

note "what no worker would survive"
limits=(--time-limit 4s --memory-limit 256MiB)
breaks "$hostile/good.so" "" 0 ""
for pair in no-note=note two-notes=note no-entry=exports exports=exports lazy=binding; do
  breaks "$hostile/${pair%=*}.so" "${pair#*=}" 5 "(" "${limits[@]}"
done
breaks "$hostile/missing-library.so" libraries 3 "novahostile7"
for pair in undefined=load constructor-crash=load constructor-exit=load entry-crash=load entry-exit=load \
  entry-hang=load entry-hog=load entry-null=sizes entry-garbage=load size-small=sizes size-huge=sizes \
  ops-size=sizes ops-null=sizes op-null=sizes version-differs=descriptor parameter-differs=descriptor \
  probe-crash=probe probe-hang=probe replicate-crash=work replicate-exit=work replicate-hang=work \
  replicate-hog=work replicate-corrupt=work; do
  breaks "$hostile/${pair%=*}.so" "${pair#*=}" 4 "" "${limits[@]}"
done
settle
