# SPDX-License-Identifier: MIT
# future.sh NOVACORE MANIFEST-TOOL CC SOURCE: plugins that were built with the headers of the next minor, whose
# structs are larger: one that says that it can do without loads and runs here, one that cannot is refused.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
minor=$(sed -n 's/^#define NOVA_ABI_MINOR \([0-9]*\)u/\1/p' "$source/sdk/include/novacore/abi.h")
cp -r "$source/sdk/include" next
python3 - next/novacore "$minor" <<'END'
import pathlib, re, sys
grown = 0
for path in pathlib.Path(sys.argv[1]).glob("*.h"):
    text = path.read_text()
    # every struct that begins with its size gets a member more
    text, count = re.subn(r"^(struct nova_\w+ \{\n(?:\t*/\*.*?\*/\n)?\tuint32_t struct_size;.*?)^\};",
                          r"\1\tuint64_t of_the_next_minor;\n};", text, flags=re.M | re.S)
    grown += count
    minor = int(sys.argv[2])
    path.write_text(text.replace(f"#define NOVA_ABI_MINOR {minor}u", f"#define NOVA_ABI_MINOR {minor + 1}u"))
assert grown == 20, grown
END
grep -q "NOVA_ABI_MINOR $((minor + 1))u" next/novacore/abi.h || fail 'the headers are not of the next minor'

# What a careful plugin does: it looks before it uses what is new, and sets what is new of its own.
future() {
  sed -e "s/old-$1/$2/g" -e 's/\.struct_size = sizeof(ops)/&, .of_the_next_minor = ~UINT64_C(0)/' \
    -e 's/\.struct_size = sizeof(plugin)/&, .of_the_next_minor = ~UINT64_C(0)/' \
    -e 's/(void)host, /if (NOVA_HAS(host, struct nova_host, of_the_next_minor) || host->abi_minor)\n\t\treturn NOVA_E_INTERNAL;\n\t&/' \
    "$source/tests/abi/1.0/old-$1.c" >"$2.c"
}

for kind in benchmark hypervisor optimizer; do
  note "a $kind of the next minor that also works with this one"
  future $kind next-$kind
  make_plugin $kind next-$kind "$PWD/next" next-$kind.c "-DNOVA_ABI_MIN_MINOR=${minor}u" -Wno-missing-field-initializers
  "$manifest_tool" "$plugins/$kind/next-$kind.so"
  expect 0 "$novacore" plugin info $kind/next-$kind
  says "ABI       1.$((minor + 1)): works with 1.$minor and later"
  checked "$plugins/$kind/next-$kind.so"
done
grep -q 'NOVA_HAS(host' next-benchmark.c || fail 'the benchmark does not look'
runs --plugin sim --benchmark next-benchmark

note "one that needs the next minor is refused, with its code"
future benchmark needs-next
make_plugin benchmark needs-next "$PWD/next" needs-next.c -Wno-missing-field-initializers
"$manifest_tool" "$plugins/benchmark/needs-next.so"
expect 0 "$novacore" plugin list --json
check out '[x["code"] for x in r["refused"]] == ["abi-minor"]'
expect 5 "$novacore" run --plugin sim --benchmark needs-next
says 'install a newer novacore'

note "a draft of the ABI, too"
cp "$plugins/benchmark/next-benchmark.so" drafted.so
python3 - drafted.so <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.find(struct.pack("=III", 9, 20, 1) + b"novacore\0")
assert at > 0
data[at + 40:at + 44] = struct.pack("=I", 3)
open(sys.argv[1], "wb").write(data)
END
rm "$plugins/benchmark/needs-next".*
cp drafted.so "$plugins/benchmark/next-benchmark.so"
"$manifest_tool" --rehash "$plugins/benchmark/next-benchmark.so" --from "$plugins/benchmark/next-benchmark.manifest"
expect 0 "$novacore" plugin list --json
check out '[x["code"] for x in r["refused"]] == ["abi-draft"]'
expect 5 "$novacore" run --plugin sim --benchmark next-benchmark
says 'rebuild the plugin'
