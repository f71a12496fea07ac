# SPDX-License-Identifier: MIT
# old.sh NOVACORE MANIFEST-TOOL CC SOURCE: plugins as the templates of ABI 1.0 were, built with the headers of
# 1.0, with the manifests of 1.0: all four kinds load, keep the contract and run, without being changed.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
old=$source/tests/abi/1.0

for kind in benchmark hypervisor optimizer profile; do
  note "a $kind of ABI 1.0"
  make_plugin $kind old-$kind "$old/include" "$old/old-$kind.c"
  "$manifest_tool" --rehash "$plugins/$kind/old-$kind.so" --from "$old/old-$kind.manifest"
  expect 0 "$novacore" plugin info $kind/old-$kind
  says 'ABI       1.0: works with 1.0 and later'
  checked "$plugins/$kind/old-$kind.so"
done

note "what a manifest of today would say is what that of 1.0 says"
for kind in benchmark hypervisor optimizer profile; do
  cp "$plugins/$kind/old-$kind.manifest" then
  "$manifest_tool" "$plugins/$kind/old-$kind.so"
  python3 - then "$plugins/$kind/old-$kind.manifest" <<'END' || fail "the manifests of the $kind differ"
import sys
old, new = (open(name).read().split() for name in sys.argv[1:])
sys.exit(not set(old) <= set(new))
END
  cp then "$plugins/$kind/old-$kind.manifest"
done

note "they run: the benchmark and the profile on the simulator, the driver under a benchmark of today"
runs --plugin sim --benchmark old-benchmark --profile old-profile
check out '[s["benchmark"] for s in r["steps"]] == ["old-benchmark"]'
nothing_left
expect 0 "$novacore" plugin list --json
check out 'r["refused"] == []'
