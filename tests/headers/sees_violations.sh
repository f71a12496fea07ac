#!/bin/sh
# SPDX-License-Identifier: MIT
# sees_violations.sh CC CXX: check.sh refuses each kind of header that it is there to refuse.
set -u
cc=$1 cxx=$2
here=$(dirname "$0")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/novacore"
failed=0
expect() { # wanted, what, text
  printf '#ifndef X_H\n#define X_H\n%s\n#endif\n' "$3" >"$tree/novacore/x.h"
  sh "$here/check.sh" "$cc" "$cxx" "$tree" >/dev/null 2>&1
  got=$?
  [ "$got" = "$1" ] || { echo "$2: exit $got, not $1"; failed=1; }
}
expect 0 "a good header" '#include <stdint.h>
struct good { uint32_t a, b; };'
expect 1 "padding" '#include <stdint.h>
struct padded { uint32_t a; uint64_t b; };'
expect 1 "a type from a header that it does not include" 'uint32_t f(void);'
expect 1 "a C++ keyword" 'struct bad { int class; };'
expect 1 "a narrowing conversion" 'static inline short f(int x) { return x; }'
printf 'struct twice { int a; };\n' >"$tree/novacore/x.h"
sh "$here/check.sh" "$cc" "$cxx" "$tree" >/dev/null 2>&1 && { echo "no include guard: accepted"; failed=1; }
rm "$tree/novacore/x.h"
sh "$here/check.sh" "$cc" "$cxx" "$tree" >/dev/null 2>&1 && { echo "no header at all: accepted"; failed=1; }
exit $failed
