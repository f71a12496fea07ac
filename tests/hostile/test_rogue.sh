# SPDX-License-Identifier: MIT
# test_rogue.sh NOVACORE PLUGINS ROGUES: drivers and a benchmark that crash, hang, leak, print, exit
# and lie while a run goes on. Each run has two targets, the rogue and the simulator: whatever the
# rogue does costs its own step, and nothing of what it says reaches a terminal as a command.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
build=$(dirname "$novacore") rogues=$3
mkdir -p prefix/bin prefix/lib/novacore/plugins/1/{hypervisor,profile}
cp "$novacore" prefix/bin/
cp "$build"/lib/novacore/plugins/1/hypervisor/sim.* prefix/lib/novacore/plugins/1/hypervisor/
mkdir -p prefix/lib/novacore/plugins/1/benchmark
cp "$build"/lib/novacore/plugins/1/benchmark/lifecycle.* prefix/lib/novacore/plugins/1/benchmark/
cp "$build"/lib/novacore/plugins/1/profile/development.* prefix/lib/novacore/plugins/1/profile/
cp -r "$rogues"/1/* prefix/lib/novacore/plugins/1/
chmod -R go-w prefix
novacore=$scratch/prefix/bin/novacore
export ASAN_OPTIONS=handle_segv=0:handle_abort=0:detect_leaks=0

# Bytes that a terminal obeys: C0 but newline and tab, DEL, C1 and reordering in UTF-8, and no UTF-8.
harmless() {
  local file
  for file in "$@"; do
    python3 -c '
import re, sys, unicodedata
text = open(sys.argv[1], "rb").read().decode("utf-8")
bad = re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
sys.exit(1 if bad else 0)' "$file" || { cat -v "$file" >&2; fail "$file has control characters"; }
  done
}

# rogue MODE STATE TEXT ARGUMENT…: STATE of the rogue's step; TEXT in the step's reason or in what
# was printed, "" if nothing is to be said. With $bench, that mode of the benchmark, and another
# benchmark after it.
driver=rogue-parallel bench=none
rogue() {
  local mode=$1 state=$2 text=$3 code=0 wanted=${exit_code:-4} started=$SECONDS
  shift 3
  [ "$state" != done ] || wanted=0
  local what=(--target "$driver=rogue://here" --target sim=sim:local --benchmark prod)
  [ "$bench" = none ] || what=(--plugin sim --benchmark prod --benchmark lifecycle)
  timeout -k 1 100 "$novacore" "${what[@]}" \
    --set "hypervisor.$driver.mode=$mode" --set benchmark.prod.mode="$bench" \
    --set hypervisor.sim.clock=virtual --set run.samples=2 --set run.warmup=0 --set run.op_timeout=1s \
    --set run.ready_timeout=1s --set limits.worker_memory=256MiB --format json "$@" >out 2>err </dev/null || code=$?
  [ $code = $wanted ] || { tail -n 20 err >&2; fail "$driver $mode $bench: exit code $code, not $wanted"; }
  harmless out err
  check out 'r["schema"] == "novacore.result/1" and len(r["steps"]) == 2'
  check out 'r["steps"][1]["state"] == "done" and r["steps"][1]["counts"]["succeeded"] >= 1'
  check out "r['steps'][0]['state'] == '$state'"
  says "$text" # in the step's reason, or in what was printed
  printf '   %-16s %-15s %-6s %2d s  %s\n' "$driver" "$mode/$bench" "$state" $((SECONDS - started)) \
    "$(json out '(r["steps"][0]["why"] or "")[:90]')"
  cp err said
  nothing_left
}

note "drivers"
rogue none done ''
rogue crash lost crashed
rogue exit lost 'ended by itself'
rogue status failed 'not one of'
rogue positive failed 'not one of'
rogue describe-status failed ''
rogue twice done ''
rogue both done ''
rogue late done ''
rogue others done ''
rogue rubbish failed 'not one of'
rogue much failed 'put more than 64 MiB'
rogue print done ''
rogue leak done ''
rogue process done ''
rogue facts done 'the rest is left out'
rogue notes done 'has more to say'
rogue no-event failed 'not one of'
rogue after-destroy done ''
rogue destroy-crash done 'crashed (Segmentation fault) as it was closing'
rogue disconnect-crash done 'crashed (Segmentation fault) as it was closing'
rogue disconnect-error done 'could not log out'
rogue disconnect-never done 'did not end in 3.0 s'
rogue pump-rubbish done ''
rogue close lost 'ended by itself'
rogue rubbish-packet lost 'cannot be understood'
rogue big-packet lost 'cannot be understood'
rogue forge done ''
rogue escapes failed 'not one of'

note "children that are left behind end with their worker, and cannot talk for it"
rogue children done ''
rogue loud-children lost 'ended by itself with status 7'
for ((tenths = 0; tenths < 50; tenths++)); do
  left=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$novacore" 2>/dev/null || true)
  [ -z "$left" ] && break
  sleep 0.1
done
[ -z "$left" ] || fail "left behind: $left"

note "one that has left the worker's process group is named"
rogue daemon done 'which a plugin started, still runs'
left=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$novacore" 2>/dev/null || true)
[ -n "$left" ] || fail "there is no such process"
for process in $left; do kill -9 "$(basename "$(dirname "$process")")"; done

note "what never ends comes to its deadline"
rogue never failed 'and could not be cancelled' --set run.samples=1
rogue connect-never failed 'did not end in 1.0 s'
rogue connect-crash lost 'crashed'
exit_code=3 rogue connect-error failed 'target rogue-parallel'
rogue stop lost 'did not answer in time' --set run.replicate_timeout=2s
rogue destroy-hang done 'did not end when it was told to'
rogue disconnect-hang done 'did not end in 3.0 s'
for driver in rogue-per-instance rogue-serial; do
  rogue none done ''
  rogue block lost 'did not answer in time' --set run.replicate_timeout=2s
done
driver=rogue-parallel

note "benchmarks"
for bench in print rubbish threads; do rogue none done ''; done
bench=hang && rogue none lost 'did not answer in time' --set run.replicate_timeout=2s
bench=close && rogue none lost 'ended by itself'
bench=error && rogue none failed 'not UTF-8: ??'
bench=long-error && rogue none failed 'yyyy'
bench=none

note "a benchmark that fills the disk costs its step: there is room for the next"
if [ "$(id -u)" = 0 ]; then
  cat >small-disk <<'END'
#!/bin/bash
mkdir -p "$NOVACORE_HOME/state"
mount -t tmpfs -o size=400m,mode=755 tmpfs "$NOVACORE_HOME/state"
exec "$@"
END
  chmod 755 small-disk
  propagation=private
  unshare --mount --propagation private true 2>/dev/null || propagation=unchanged
  expect 4 unshare --mount --propagation $propagation ./small-disk "$novacore" --plugin sim --benchmark prod \
    --benchmark lifecycle --set hypervisor.sim.clock=virtual --set run.samples=2 --set run.warmup=0 \
    --set benchmark.prod.mode=fill --format json
  check out '[s["state"] for s in r["steps"]] == ["lost", "done"] and "filled the disk" in r["steps"][0]["why"]'
else
  echo '   not tried: mounting a small disk needs root'
fi

note "what is printed while a plugin is loaded, or by a benchmark, is not the result"
for bench in none print; do NOVACORE_ROGUE=print rogue none done ''; done
bench=none

note "a plugin that takes its time to load is refused, but not while it is being debugged"
expect 4 env NOVACORE_ROGUE=slow "$novacore" --plugin sim --benchmark prod --set hypervisor.sim.clock=virtual
says 'refused (hang)'
expect 0 env NOVACORE_ROGUE=slow "$novacore" --plugin sim --benchmark prod --set hypervisor.sim.clock=virtual \
  --worker-wrapper env

note "a trace of drivers that crash, hang, lie and tell secrets"
trace() { python3 "$here/../run/trace.py" "$@" || fail "not so in $1: $2"; }
rogue crash lost crashed --trace crash.jsonl
trace crash.jsonl '[l["is"] for l in lines].index("worker") < len(lines) and [l for l in lines if l["pid"] == lines[1]["pid"]][-1]["name"] == "vm_power"' 3
rogue never failed '' --set run.samples=1 --trace never.jsonl
trace never.jsonl 'any(l["is"] == "end" and l["kind"] == "op" and l["name"] == "vm_create" and l["timed_out"] and l["cancelled"] and l["abandoned"] and l["status"] == "timeout" for l in lines)' 2
rogue late done '' --trace late.jsonl
trace late.jsonl '{"put", "done"} <= {l["what"] for l in lines if l["is"] == "late"}'
rogue rubbish failed '' --trace rubbish.jsonl
trace rubbish.jsonl 'any(l["is"] == "event" and not l["known"] for l in lines)'
rogue escapes failed '' --trace escapes.jsonl
rogue much failed '' --trace much.jsonl
harmless crash.jsonl late.jsonl rubbish.jsonl escapes.jsonl
(umask 077; printf '%s\n' 's3cr?t/word&x' >token)
rogue secret failed '' --trace secret.jsonl --set "hypervisor.rogue-parallel.token=file:$scratch/token"
trace secret.jsonl 'any(l["is"] == "worker" and l["targets"][0]["params"].get("token") == "***" for l in lines)'
trace secret.jsonl 'any(r.get("field") == "stdout" and r["text"] == "***" for l in lines for r in l.get("results", []))'
trace secret.jsonl 'any("https://user:***@host/?password=***" in l.get("error", "") for l in lines)'
for file in secret.jsonl said; do
  ! grep -qE 's3cr|t/word|%3Ft' "$file" || { grep -nE 's3cr|t/word|%3Ft' "$file" >&2; fail "$file has the secret, or a part of it"; }
done
expect 0 "$novacore" results export last --output all.json
! grep -rqE 's3cr|t/word' all.json "$NOVACORE_HOME/state/novacore.db"* || fail "a secret is stored"

note "texts of plugins, on a terminal and for shells"
plugins=$scratch/prefix/lib/novacore/plugins/1
python3 - "$plugins/benchmark/prod.manifest" <<'END'
import re, sys
escapes = r"\x1b[2J\x1b]0;owned\x07\xc2\x9b31m\x7f\xe2\x80\xae\xff $(touch owned) `touch owned` ;|&"
text = open(sys.argv[1]).read()
text, count = re.subn(r'(?m)^(\s*(?:summary|version|license|doc|fallback) = )".*";', lambda m: m[1] + '"' + escapes + '";', text)
assert count > 4, text
open(sys.argv[1], "w").write(text)
END
mkdir -p "$plugins/optimizer"
for kind in profile optimizer; do
  mkdir -p "$plugins/$kind"
  printf 'not a library' >"$plugins/$kind/$(printf 'x\033[2J.so')"
  cp "$plugins/benchmark/prod.so" "$plugins/$kind/prod.so"
  cp "$plugins/benchmark/prod.manifest" "$plugins/$kind/prod.manifest"
done
for command in 'plugin list' 'plugin list --json' 'plugin list --refused' 'plugin info benchmark/prod' \
  'plugin info benchmark/prod --format json' 'run --help' 'doctor' 'doctor --format json' 'profile list' \
  'profile list --format json' 'config show --all' 'config show --all --format json' 'config keys benchmark' \
  'complete run --plugin ' 'complete run --benchmark ' 'complete plugin info ' 'complete --set benchmark.prod.' \
  'complete --set benchmark.prod.mode=' 'complete --profile ' 'status' 'results list' 'results show last' \
  "--dry-run --plugin sim --benchmark prod"; do
  words=()
  read -ra words <<<"$command"
  [[ $command != *' ' ]] || words+=("")
  NOVACORE_ROGUE=print timeout -k 1 20 "$novacore" "${words[@]}" >out 2>err </dev/null || true
  [ -s out ] || [[ $command == complete* ]] || { cat err >&2; fail "novacore $command prints nothing"; }
  harmless out err
  ! grep -q 'novacore.result/1' out || [[ $command == results* ]] || fail "novacore $command ran a plugin"
done
[ ! -e owned ] || fail "a text of a plugin was run"

note "environment profiles that are nonsense cost whoever asks for them, nobody else"
cat >profiles.py <<'END'
import re, sys
directory = sys.argv[1]
text = open(directory + "/development.manifest").read()
library = open(directory + "/development.so", "rb").read()
evil = {
    "itself": 'inherits = "itself";', "one": 'inherits = "two";', "two": 'inherits = "one";',
    "orphan": 'inherits = "nobody";', "syntax": "}{ = ;;", "include": '@include "/etc/passwd"',
    "deep": "a = " + "{ b = " * 3000 + "1;" + " };" * 3000, "lists": "a = " + "(" * 5000 + ")" * 5000 + ";",
    "escape": 'run = { shape = "\\x1b[2J\\xc2\\x9b"; };', "unknown": 'no = { such = "key"; };',
    "types": 'run = "text"; limits = [ 1, 2 ]; vm = 7;', "huge": 'run = { samples = 2147483647; warmup = 2147483647; };',
    "suite": 'run = { suite = [ "no-such", "$(touch owned)" ]; };', "empty": "",
    "goals": 'goals = ( { metric = "prod.value"; pass = "banana"; } );',
    "long": "run = { suite = [ " + ", ".join('"x%d"' % i for i in range(4000)) + " ]; };",
}
for name, settings in evil.items():
    made = re.sub(r'(?m)^name = ".*?";', 'name = "%s";' % name, text, count=1)
    quoted = settings.replace("\\", "\\\\").replace('"', '\\"')
    made, count = re.subn(r'(?ms)^settings = .*?";$', lambda m: 'settings = "%s";' % quoted, made, count=1)
    assert count == 1, made
    open(directory + "/%s.manifest" % name, "w").write(made)
    open(directory + "/%s.so" % name, "wb").write(library)
    print(name)
END
python3 profiles.py "$plugins/profile" >names
for command in 'profile list' 'profile list --format json' 'complete --profile ' 'config show --all' 'doctor' \
  'plugin list' 'profile show development' 'run --dry-run --profile development --plugin sim'; do
  words=()
  read -ra words <<<"$command"
  [[ $command != *' ' ]] || words+=("")
  code=0
  timeout -k 1 20 "$novacore" "${words[@]}" >out 2>err </dev/null || code=$?
  [ $code -lt 4 ] || { cat err >&2; fail "novacore $command: exit code $code among profiles that are nonsense"; }
  harmless out err
  grep -q 'development\|profile' out || { cat err >&2; fail "novacore $command does not say a thing"; }
done
while read -r name; do
  for command in "profile show $name" "plugin info profile/$name" "--dry-run --profile $name --plugin sim" \
    "config show --set profile=$name"; do
    read -ra words <<<"$command"
    code=0
    timeout -k 1 20 "$novacore" "${words[@]}" >out 2>err </dev/null || code=$?
    [ $code -le 5 ] || { tail -n 3 err >&2; fail "novacore $command: exit code $code"; }
    harmless out err
  done
done <names
[ ! -e owned ] || fail "a text of a plugin was run"
expect 0 "$novacore" --profile development --plugin sim --benchmark lifecycle --set hypervisor.sim.clock=virtual \
  --set run.samples=2
