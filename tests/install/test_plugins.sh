# SPDX-License-Identifier: MIT
# test_plugins.sh NOVACORE CMAKE: installs the build tree into a scratch directory, stripped, and
# lists the plugins from there, from another place, and after a second strip.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
build=$(dirname "$novacore") cmake=$2
umask 022

plugins() { json "$1" "sorted(p['kind'] + '/' + p['name'] for p in r['plugins'])"; }

expect 0 "$novacore" plugin list --json
built=$(plugins out)
[ "$built" != "[]" ] || fail "the build tree has no plugin"

note "installed below DESTDIR and stripped: every plugin is what its manifest says"
DESTDIR=$scratch/root expect 0 "$cmake" --install "$build" --prefix /usr --strip
installed=$scratch/root/usr/bin/novacore
expect 0 "$installed" plugin list --json
check out "r['refused'] == []"
[ "$(plugins out)" = "$built" ] || fail "installed are $(plugins out), built $built"
check out "all(p['path'].startswith('$scratch/root/usr/lib/novacore/plugins/1/') for p in r['plugins'])"
for so in root/usr/lib/novacore/plugins/1/*/*.so; do
  ! readelf -SW "$so" | grep -q ' \.symtab ' || fail "$so is not stripped"
  grep -q "$(sha256sum "$so" | cut -d' ' -f1)" "${so%.so}.manifest" || fail "$so: other digest"
done

note "the prefix can be moved"
mv root/usr elsewhere
expect 0 elsewhere/bin/novacore plugin list --json
check out "r['refused'] == []"
[ "$(plugins out)" = "$built" ] || fail "after moving: $(plugins out)"

note "what is changed afterwards is refused, and novacore-manifest puts it right"
so=$(ls elsewhere/lib/novacore/plugins/1/profile/*.so | head -n 1)
objcopy --remove-section .comment "$so"
expect 0 elsewhere/bin/novacore plugin list --refused
says "hash"
says "run novacore-manifest"
expect 0 elsewhere/bin/novacore-manifest --rehash "$so" --from "${so%.so}.manifest"
expect 0 elsewhere/bin/novacore plugin list --refused
says "No plugin was refused"
