#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh CC CXX INCLUDE-DIRECTORY: every SDK header compiles alone, twice in one file, in each
# language that plugins are written in, with no warning and no hidden padding.
set -u
cc=$1 cxx=$2 include=$3 failed=0 count=0
flags="-Wall -Wextra -Wconversion -Wpadded -Wpedantic -Werror -fsyntax-only"
cd "$include" || exit 1
for header in $(find novacore -name '*.h' | sort); do
  case $header in novacore/draft/*) define=-DNOVA_ENABLE_DRAFT ;; *) define= ;; esac
  for compiler in "$cc -std=c11 -x c" "$cc -std=c17 -x c" "$cxx -std=c++17 -x c++"; do
    count=$((count + 1))
    # shellcheck disable=SC2086 # the words of $compiler, $flags and $define are wanted apart
    printf '#include <%s>\n#include <%s>\nint main(void);\n' "$header" "$header" |
      $compiler $flags $define -I. - || { echo "$header: ${compiler#* }"; failed=1; }
  done
done
[ $count -gt 0 ] || { echo "no headers under $include"; failed=1; }
exit $failed
