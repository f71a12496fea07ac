# SPDX-License-Identifier: MIT
# test_run.sh NOVACORE PLUGINS: a run in which each step but two meets a hostile benchmark. Every one
# costs its own step and is told by its own reason; the well-behaved ones around them finish.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
build=$(dirname "$novacore") hostile=$2
mkdir -p prefix/bin prefix/lib/novacore
cp "$novacore" prefix/bin/
mkdir -p prefix/lib/novacore/plugins/1/{benchmark,hypervisor,profile}
cp "$build"/lib/novacore/plugins/1/hypervisor/sim.* prefix/lib/novacore/plugins/1/hypervisor/
cp "$build"/lib/novacore/plugins/1/profile/development.* prefix/lib/novacore/plugins/1/profile/
cp "$hostile"/1/benchmark/* prefix/lib/novacore/plugins/1/benchmark/
novacore=$scratch/prefix/bin/novacore
export ASAN_OPTIONS=handle_segv=0:handle_abort=0:detect_leaks=0

# step=words that its `why` must contain
steps=(
  "constructor-crash=refused (crash)" "constructor-exit=refused (exit)"
  "entry-crash=refused (crash)" "entry-exit=refused (exit)" "entry-hang=refused (hang)"
  "entry-hog=refused (memory)" "entry-null=refused (null-ops)" "entry-garbage=refused (crash)"
  "undefined=refused (load)" "size-small=refused (struct-size)" "size-huge=refused (struct-size)"
  "ops-size=refused (struct-size)" "ops-null=refused (null-ops)" "op-null=refused (null-ops)"
  "version-differs=refused (descriptor)" "parameter-differs=refused (descriptor)"
  "probe-crash=refused (crash)" "probe-hang=refused (hang)"
  "replicate-crash=crash" "replicate-exit=ended by itself" "replicate-hog=memory" "replicate-corrupt="
  "replicate-hang=did not answer in time")
suite=good
for step in "${steps[@]}"; do suite+=,${step%%=*}; done

note "a run through ${#steps[@]} hostile benchmarks"
code=0
"$novacore" --plugin sim --set hypervisor.sim.clock=virtual --set run.suite="$suite" \
  --set run.samples=2 --set run.warmup=0 --set limits.worker_memory=256MiB --set run.replicate_timeout=10s \
  --format json --output r.json >out 2>err </dev/null || code=$?
[ $code = 5 ] || { tail -n 30 err >&2; fail "exit code $code, not 5"; }
check r.json "len(r['steps']) == ${#steps[@]} + 1"
check r.json "r['steps'][0]['state'] == 'done' and r['steps'][0]['metrics'][0]['n'] == 2"
for i in "${!steps[@]}"; do
  name=${steps[i]%%=*} says=${steps[i]#*=}
  why=$(json r.json "(lambda s: [s['benchmark'], s['state'], s['why'] or str(s['replicates'])])(r['steps'][$((i + 1))])")
  printf '   %s\n' "${why:0:150}"
  check r.json "r['steps'][$((i + 1))]['benchmark'] == '$name'"
  check r.json "r['steps'][$((i + 1))]['state'] in ('lost', 'failed')"
  [[ $why == *"$says"* ]] || fail "$name: \"$why\" does not say \"$says\""
done
nothing_left

note "a well-behaved benchmark after a hostile one of the same run"
expect 4 "$novacore" --plugin sim --set hypervisor.sim.clock=virtual --set run.samples=2 \
  --set run.suite=entry-crash,good --set run.warmup=0 --format json --output r.json
check r.json "[s['state'] for s in r['steps']] == ['lost', 'done']"

note "a plugin that was refused from its file alone starts nothing"
expect 5 "$novacore" --plugin sim --set run.suite=lazy
says "lazy-binding"
expect 3 "$novacore" --plugin sim --set run.suite=missing-library
says "install the package novahostile7"
nothing_left
