# SPDX-License-Identifier: MIT
# test_target.sh NOVACORE BUILD SOURCE: targets are added to a configuration without harm to it, listed, and
# tried at the simulator.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
conf=$NOVACORE_HOME/config/novacore.conf
target() { "$novacore" target "$@"; }

note "nothing there"
expect 0 target list
says "No target is configured"
expect 0 target list --format json
check out "r == {'targets': []}"

note "a dry run writes nothing"
expect 0 target add lab --plugin sim --set clock=virtual --dry-run
says 'clock = "virtual";'
[ ! -e "$conf" ] || fail "there is a file"

note "the first one makes the file, which is nobody else's"
expect 0 target add lab --plugin sim --set clock=virtual --set seed=7
[ "$(stat -c %a "$conf")" = 600 ] || fail "mode $(stat -c %a "$conf")"
expect 0 "$novacore" config check "$conf"
expect 0 target list --format json
check out "r['targets'] == [{'name': 'lab', 'plugin': 'sim', 'uri': r['targets'][0]['uri'], 'configured': r['targets'][0]['configured']}]"
expect 0 "$novacore" config show target.lab.seed
says 7

note "what stands in the file stays, to the byte"
cat >mine.conf <<'END'
/* target = { not = { this = "one"; }; }; */
# target = {
run = { samples = 9; # target = {
  targets = [ "old" ]; };
note_ = "target = {"
END
sed -i '/^note_/d' mine.conf
cat >>mine.conf <<'END'
target /* here */ : // and here
{ # a comment {
  old = { plugin = "sim"; uri = "sim:\"target = {"; }
  /* the last */
};
guest = { cmdline = "quiet"; };
END
chmod 640 mine.conf
cp mine.conf before
ln -s mine.conf link.conf
expect 0 target add new --plugin sim --config link.conf
[ -L link.conf ] || fail "the link is gone"
[ "$(stat -c %a mine.conf)" = 640 ] || fail "mode $(stat -c %a mine.conf)"
python3 - before mine.conf <<'END' || fail "something else has changed"
import sys
before, after = (open(name).read() for name in sys.argv[1:])
start = after.index("  new = {")
end = after.index("  };\n", start) + 5
assert after[:start].rstrip("\n") + after[end:] in (before, before.replace("{ # a", "{\n # a")), after
END
expect 0 target list --config mine.conf --format json
check out "[t['name'] for t in r['targets'] if 'mine.conf' in t['configured']] == ['new', 'old']"

note "a file that is already wrong is left alone"
printf 'run = { samples = ; };\n' >broken.conf
expect 2 target add new --plugin sim --config broken.conf
says "broken.conf:1"
[ "$(cat broken.conf)" = 'run = { samples = ; };' ] || fail "it was changed"

printf 'run = { samples = 9; };\n/* to be continued\n' >open.conf
cp open.conf before
expect 2 target add new --plugin sim --config open.conf
says "never ends"
cmp before open.conf || fail "it was changed"

note "wrong words change nothing"
cp "$conf" before
expect 2 target add lab --plugin sim
says "there is a target lab already"
expect 2 target add LAB --plugin sim
says "cannot be a target's name"
expect 2 target add 1lab --plugin sim
expect 2 target add 'a;b' --plugin sim
expect 2 target add x --plugin simm
says "sim"
expect 2 target add x --plugin sim --set clok=real
says 'did you mean "clock"'
expect 2 target add x --plugin sim --set clock=reel
says "nothing was written"
expect 2 target add x --plugin sim --set clock
expect 2 target add x
expect 2 target add --plugin sim
expect 2 target add x y --plugin sim
expect 2 target remove lab
says "not \"remove\""
expect 2 target
expect 2 target add "" --plugin sim
expect 2 target add x --plugin
expect 2 target add x --plugin lifecycle
expect 2 target add x --plugin sim --set
expect 2 target add x --plugin sim --set =real
expect 2 target add x --plugin sim --set $'clock=real\nrun = {'
says "control character"
expect 2 target add x --plugin sim --no-such
expect 2 target list --format xml
says "table or json"
expect 2 target list --config no-such.conf
expect 2 target test lab --set nothing
expect 2 target test lab --set clock=reel
expect 2 target test lifecycle=
expect 2 target list lab
expect 2 target test
expect 2 target test nosuch
says "novacore target add"
expect 2 target test lba
says 'did you mean "lab"'
cmp before "$conf" || fail "the file has changed"

note "two at once"
for i in 1 2 3 4 5 6; do target add "many-$i" --plugin sim >/dev/null & done
wait
expect 0 target list --format json
check out "sum(t['name'].startswith('many-') for t in r['targets']) == 6"

note "a target is tried"
expect 0 target test lab
says "It can: create"
says "a simulated VM has no disk image"
expect 0 target test sim= --set clock=virtual --format json
check out "r['schema'] == 'novacore.target/1' and r['facts']['simulated'] == 'true' and r['capabilities']['create'] is None and r['missing_privileges'] == {} and r['exit_code'] == 0"
expect 0 "$novacore" results list --format json
check out "r == [] or r.get('runs') == []"
[ -z "$(ls "$NOVACORE_HOME/state/runs" 2>/dev/null)" ] || fail "it leaves a directory"
