# SPDX-License-Identifier: MIT
# test_refusals.sh NOVACORE PLUGINS MANIFEST SOURCE: each static reason of ABI.md once, and `plugin list` shows
# each with its code and what to do.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
hostile=$2/1/benchmark manifest=$3 source=$4
umask 022
root=$([ "$(id -u)" = 0 ] && echo true || echo false)
mkdir -p prefix/bin prefix/lib/novacore/plugins/1/{benchmark,optimizer} "$NOVACORE_HOME/config/keys.d"
cp "$novacore" prefix/bin/
novacore=$scratch/prefix/bin/novacore
folder=$scratch/prefix/lib/novacore/plugins/1/benchmark
outside=$scratch/outside/1/benchmark
mkdir -p "$outside" second/1/benchmark

# put NAME [FOLDER]: the good plugin under another name
put() {
  cp "$hostile/good.so" "${2:-$folder}/$1.so"
  sed "s/name = \"good\"/name = \"$1\"/" "$hostile/good.manifest" >"${2:-$folder}/$1.manifest"
}
# note_word NAME INDEX VALUE: a word behind the name of the ABI note; the digest follows
note_word() {
  put "$1"
  python3 - "$folder/$1" "$2" "$3" <<'END'
import hashlib, re, struct, sys
path, index, value = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = bytearray(open(path + ".so", "rb").read())
at = re.search(rb"\x09\0\0\0\x14\0\0\0....novacore\0", data, re.S).end() + 3 + 4 * index
data[at:at + 4] = struct.pack("<I", value)
open(path + ".so", "wb").write(data)
text = open(path + ".manifest").read()
digest = hashlib.sha256(data).hexdigest()
open(path + ".manifest", "w").write(re.sub(r'sha256 = "\w+"', f'sha256 = "{digest}"', text))
END
}

put well
put Wrong_Name
put linked; mv "$folder/linked.so" elsewhere.so; ln -s "$scratch/elsewhere.so" "$folder/linked.so"
put open; chmod 666 "$folder/open.so"
put large; truncate -s 257M "$folder/large.so"
put bare; rm "$folder/bare.manifest"
put broken; echo "?" >>"$folder/broken.manifest"
put swapped; cp "$hostile/good.manifest" "$folder/swapped.manifest"
put changed; echo x >>"$folder/changed.so"
put forged; echo "not a signature" >"$folder/forged.manifest.sig"
put text; echo "#!/bin/sh" >"$folder/text.so"
for name in no-note lazy exports rpath-tmp missing-library; do cp "$hostile/$name".* "$folder/"; done
note_word major 0 2
note_word minor 2 99
note_word draft 4 99
note_word astray 3 2 # says hypervisor
put taken; put taken second/1/benchmark
put taken-back
sha256sum "$folder/taken-back.manifest" | cut -d' ' -f1 >"$NOVACORE_HOME/config/keys.d/revoked"
expected="file-name symlink writable unreadable no-manifest bad-manifest wrong-manifest hash signature not-elf \
no-note abi-major abi-minor abi-draft kind duplicate missing-library lazy-binding exports revoked library-path"
if $root; then
  # what an ordinary user cannot make, or is not asked for
  put foreign; chown 12345 "$folder/foreign.so"
  put nameless "$outside"
  put strange "$outside"
  expect 0 "$novacore" plugin keygen stranger
  expect 0 "$novacore" plugin sign "$outside/strange.so" --key stranger.key
  put known second/1/benchmark
  expect 0 "$novacore" plugin keygen lab --output "$NOVACORE_HOME/config/keys.d"
  expect 0 "$novacore" plugin sign second/1/benchmark/known.so --key "$NOVACORE_HOME/config/keys.d/lab.key"
  expect 0 "$novacore" plugin sign second/1/benchmark/taken.so --key "$NOVACORE_HOME/config/keys.d/lab.key"
  expected+=" owner unsigned unknown-key"
fi
echo "plugins = { path = [\"$scratch/outside\", \"$scratch/second\"]; };" >"$NOVACORE_HOME/config/novacore.conf"

note "each is shown by its code, once"
expect 0 "$novacore" plugin list --json
json out '"\n".join(sorted(x["code"] for x in r["refused"]))' >seen
tr ' ' '\n' <<<"$expected" | sort | diff - seen || fail "not these codes"
check out "all(x['path'].startswith('/') and len(x['why']) > 40 for x in r['refused'])"
check out "'well' in [p['name'] for p in r['plugins']] and r['problems'] == []"

note "and by what to do about it"
expect 0 "$novacore" plugin list
cp out list
while read -r code words; do
  grep -qE "^  $code +/?.*$words" list || fail "$code does not say \"$words\": $(grep "^  $code " list)"
done <<'END'
file-name rename it
symlink copy the file itself
writable chmod
unreadable allowed
no-manifest novacore-manifest
bad-manifest make it again
wrong-manifest put the plugin's own there
hash install the plugin again
signature sign it again
not-elf build it for this machine
no-note build it with the SDK
abi-major install the plugin's version
abi-minor install a newer
abi-draft rebuild the plugin
kind move it
duplicate Remove one of them
missing-library install the package novahostile7
lazy-binding link it with
exports version script
library-path Link it without an RPATH
revoked install a newer version
END
if $root; then
  grep -qE "^  owner .*chown it to root, or run novacore as that user" list || fail "owner"
  grep -qE "^  unsigned .*novacore plugin sign" list || fail "unsigned"
  grep -qE "^  unknown-key .*/etc/novacore/keys.d/stranger.pub" list || fail "unknown-key"
  expect 0 "$novacore" plugin info known
  says "trusted   signature"
fi

note "ABI.md has each of them, and no other"
sed -n '/^Static:/,/^Dynamic:/s/^| `\([a-z-]*\)` .*/\1/p' "$source/ABI.md" | sort >documented
all="$expected"
$root || all+=" owner unsigned unknown-key"
tr ' ' '\n' <<<"$all" | sort | diff - documented || fail "ABI.md has other codes"

note "asking for a refused one is an error of its own"
expect 5 "$novacore" plugin info forged
says "(signature)"
expect 5 "$novacore" plugin info taken-back
says "(revoked)"
expect 3 "$novacore" plugin info missing-library

note "a file system that a user mounted is not believed when it says that it is root's"
if ! $root || ! [ -c /dev/fuse ]; then
  echo "   not tried: it needs root and /dev/fuse"
else
  mkdir -p other/config/keys.d
  # In a chroot / is no mount point: nothing can be made private, and nothing needs to be.
  propagation=private
  unshare --mount --propagation private true 2>/dev/null || propagation=unchanged
  mounted() { NOVACORE_HOME=$scratch/other unshare --mount --propagation $propagation \
    python3 "$here/user_mount.py" "$scratch/other/config/keys.d" "$@"; }
  expect 0 mounted 12345 "$novacore" plugin list --json
  says "that user 12345 mounted and that can claim any owner"
  check out "len(r['problems']) == 1"
  expect 0 mounted 0 "$novacore" plugin list --json
  check out "r['problems'] == []"
fi
