# SPDX-License-Identifier: MIT
# test_manifest_tool.sh TOOL PLUGINS: novacore-manifest on good and hostile plugins.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
tool=$novacore hostile=$2/1/benchmark
export ASAN_OPTIONS=handle_segv=0:handle_abort=0:detect_leaks=0

# with NAME: a copy of that plugin, without its manifest
with() { rm -f -- *.so *.manifest; cp "$hostile/$1.so" .; }

note "writes what the build wrote"
with good
expect 0 "$tool" good.so
cmp good.manifest "$hostile/good.manifest" || fail "not the manifest of the build"
expect 0 "$tool" good.so --output other --hint libx.so.1=libx1
grep -q 'hints = \[ "libx.so.1=libx1" \]' other || fail "no hint"

note "after stripping, --rehash makes it right again and runs nothing"
strip good.so
expect 0 "$tool" --rehash good.so --from good.manifest
grep -q "$(sha256sum good.so | cut -d' ' -f1)" good.manifest || fail "not the digest of the file"
with entry-crash
expect 0 "$tool" --rehash entry-crash.so --from "$hostile/entry-crash.manifest"

note "says what is wrong and writes nothing"
wrong() { with "$1"; expect 1 "$tool" "$1.so"; says "$2"; [ ! -e "$1.manifest" ] || fail "$1: wrote"; }
wrong entry-crash "crashes in a constructor or in its entry"
wrong constructor-crash "crashes in a constructor or in its entry"
wrong entry-exit "ended the process"
wrong constructor-exit "ended the process"
wrong entry-null "returned NULL"
wrong entry-garbage "crashes"
wrong undefined "undefined symbol: nova_no_such_function"
wrong no-note "exactly one novacore note"
wrong two-notes "exactly one novacore note"
wrong no-entry "does not export nova_plugin_entry_v1"
wrong size-small "struct_size = 16"
wrong op-null "required op \`create\`"
with good; mv good.so other.so
expect 1 "$tool" other.so
says "the file must be good.so"
echo text >text.so
expect 1 "$tool" text.so
says "not an ELF file"
expect 1 "$tool" missing.so
says "No such file"

note "--markdown prints what a manual page takes from a manifest, and survives any text"
cp "$hostile/good.manifest" good.manifest
expect 0 "$tool" --markdown good.manifest
[ "$(head -n 1 out)" = "$(sed -n 's/^summary = "\(.*\)";$/\1/p' good.manifest)" ] || fail "the first line is not the summary"
says "### Metrics"
cat >odd.manifest <<'END'
summary = 5; kind = ( 1 ); name = { a = 1; };
parameters = ( "x", { name = 3; choices = ( 1, { } ); }, { choices = 7; type = "in|te<ger"; list = true; } );
metrics = { a = { unit = 1; }; };
END
expect 0 "$tool" --markdown odd.manifest
says '| in\|te\<ger, list |'
echo 'a = ' >broken.manifest
expect 1 "$tool" --markdown broken.manifest
says "broken.manifest:2: syntax error"
expect 1 "$tool" --markdown missing.manifest
says "cannot read missing.manifest: No such file or directory"
expect 2 "$tool" --markdown good.manifest other.so
expect 2 "$tool" --markdown good.manifest --output x

note "wrong usage"
expect 2 "$tool"
expect 2 "$tool" good.txt
expect 2 "$tool" --rehash other.so
expect 2 "$tool" other.so --from x
expect 2 "$tool" other.so --hint nonsense
expect 2 "$tool" --unknown other.so
expect 0 "$tool" --help
says "--rehash"
