#!/bin/bash
# SPDX-License-Identifier: MIT
# --worker-wrapper: workers under gdb, valgrind, strace and the like; with a terminal and without;
# wrappers that are not there, that end, that do not start the worker.
. "$(dirname "$0")/lib.sh"

export DEBUGINFOD_URLS= # gdb would ask
run=("$novacore" --plugin sim --profile dev --set hypervisor.sim.clock=virtual --set run.samples=2
  --set run.warmup=0)
under() { expect "$1" "${run[@]}" --format json --worker-wrapper "$2" "${@:3}"; }
finished() {
  check out 'r["run"]["state"] == "complete" and r["steps"][0]["counts"]["succeeded"] == 2'
  check out 'any("--worker-wrapper" in n for n in r["notes"])'
  check out '"worker_wrapper" in r["where"]["facts"]'
}

note "env, strace, valgrind"
under 0 env
finished
under 0 "strace -f -o '$scratch/system calls'"
finished
grep -q 'prctl(PR_SET_PDEATHSIG' 'system calls' || fail "strace has not seen the worker"
# Far more memory, and time, than a worker may have of its own.
under 0 'valgrind --error-exitcode=9' --set limits.worker_memory=64MiB
finished
says 'ERROR SUMMARY'

note "gdb in batch mode: symbols, a breakpoint in the worker, and on to the end"
under 0 "gdb -nx -q -batch -ex 'set startup-with-shell off' -ex 'break nova_worker_main' -ex run -ex 'info source' -ex continue --args"
says 'Breakpoint 1, nova_worker_main'
finished

note "gdb at a terminal: what the user types is gdb's, Ctrl-C too; the result stays whole"
cat >terminal.py <<'END'
import os, pty, re, select, signal, sys, time
script, command = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
seen = b""
def expect(what):
    global seen
    until = time.time() + 60
    while not re.search(what, seen):
        if time.time() > until:
            sys.exit("nothing says %r: %s" % (what, seen.decode(errors="replace")))
        if select.select([fd], [], [], 1)[0]:
            try: seen += os.read(fd, 65536)
            except OSError: sys.exit("ended before %r: %s" % (what, seen.decode(errors="replace")))
    seen = re.split(what, seen, 1)[-1]
for step in script.split("|"):
    verb, text = step.split(" ", 1)
    if verb == "expect": expect(text.encode())
    else: os.write(fd, text.encode().decode("unicode_escape").encode())
until = time.time() + 60
while time.time() < until:
    try:
        if select.select([fd], [], [], 1)[0]: os.read(fd, 65536)
    except OSError: break
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
at_terminal() { python3 terminal.py "$@" >code || fail "$(cat code)"; cat code; }
code=$(at_terminal 'expect \(gdb\) |send break nova_lab_table\n|expect \(gdb\) |send run\n|expect Breakpoint 1, |send \x03|expect \(gdb\) |send continue\n|expect exited normally|expect \(gdb\) |send quit\n' \
  "${run[@]}" --format json --output r.json --worker-wrapper 'gdb -nx -q -ex "set startup-with-shell off" -ex "set pagination off" --args')
[ "$code" = 0 ] || fail "exit code $code, not 0, after a session in gdb"
cp r.json out
finished

note "Ctrl-C reaches a wrapper that has the terminal, and stops the run"
code=$(at_terminal 'expect step 1/1|send \x03|expect interrupted' "${run[@]}" --set hypervisor.sim.clock=real \
  --set run.samples=2000 --full --worker-wrapper env)
[ "$code" = 130 ] || fail "exit code $code, not 130"
expect 0 "$novacore" clean
nothing_left

note "kill -9 of the run ends wrapper and worker, also at a breakpoint"
for wrapper in env 'strace -f -o calls' "gdb -nx -q -ex 'set startup-with-shell off' -ex 'break nova_lab_table' -ex run --args"; do
  mkfifo typed
  exec 9<>typed
  "${run[@]}" --set hypervisor.sim.clock=real --set run.samples=200 --full --worker-wrapper "$wrapper" \
    >out 2>err <typed 9>&- &
  parent=$!
  for ((tenths = 0; tenths < 200; tenths++)); do
    case $wrapper in gdb*) grep -q 'Breakpoint 1,' err && break ;; *) grep -q 'step 1/1' err && break ;; esac
    sleep 0.1
  done
  [ $tenths -lt 200 ] || { cat err >&2; fail "the worker under $wrapper did not start"; }
  sleep 0.3
  processes=$(pgrep -P "$parent" || true)
  for process in $processes; do processes+=" $(pgrep -P "$process" || true)"; done
  kill -9 "$parent"
  wait "$parent" 2>/dev/null || true
  for process in $processes; do
    for ((tenths = 0; tenths < 100; tenths++)); do
      kill -0 "$process" 2>/dev/null || break
      sleep 0.1
    done
    [ $tenths -lt 100 ] || fail "process $process under $wrapper outlived the run: $(tr '\0' ' ' <"/proc/$process/cmdline")"
  done
  exec 9>&-
  rm typed
  expect 0 "$novacore" clean
done

note "wrappers that end, or that start no worker: the step is lost, the run goes on"
under 4 false
says 'ended by itself with status 1'
check out '[s["state"] for s in r["steps"]] == ["lost"]'
under 4 "sh -c 'exec 3>&-; exec \"\$@\"' sh"
says 'not by hand'
under 4 "sh -c 'kill -SEGV \$\$'"
says 'crashed (Segmentation fault)'
nothing_left

note "one that does nothing at all is left alone, until the user stops it"
for signal in INT TERM; do
  python3 -c 'import os,signal,sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "${run[@]}" --worker-wrapper "sh -c 'sleep 1000; :' sh" >out 2>err </dev/null &
  parent=$!
  for ((tenths = 0; tenths < 100; tenths++)); do
    [ "$(pgrep -x -P "$parent" sh || true)" ] && break
    sleep 0.1
  done
  sleep 0.3
  kill -$signal $parent
  sleep 0.3
  kill -$signal $parent
  code=0
  wait $parent || code=$?
  [ $code = 130 ] || [ $code = 143 ] || { cat err >&2; fail "exit code $code after two signals $signal"; }
  nothing_left
done

note "wrong commands: nothing has begun"
rm -rf "$NOVACORE_HOME/state"
under 3 'no-such-debugger --args'
says 'no-such-debugger: it is not installed'
under 3 "$scratch"
under 3 /dev/null
under 2 ''
under 2 '   '
under 2 "''"
under 2 "gdb 'unfinished"
says 'has no end'
under 2 'gdb \'
[ ! -e "$NOVACORE_HOME/state/novacore.db" ] || fail "a wrapper that cannot be started made a store"
printf 'run = { worker_wrapper = "env"; };\n' >wrapper.conf
expect 2 "${run[@]}" --config wrapper.conf
says 'worker_wrapper'

note "words are split as a shell splits them"
cat >words <<'END'
#!/usr/bin/env bash
printf '%s\n' "${@:1:$#-2}" >"$(dirname "$0")/split"
exec "${@:$#-1}"
END
chmod 755 words
under 0 "'$scratch/words' a  'b  c' \"d \\\"e\\\\ \$x\" f\\ g '' -h=\"i j\"k"
printf '%s\n' a 'b  c' 'd "e\ $x' 'f g' '' '-h=i jk' | cmp - split || fail "the words are other ones"
