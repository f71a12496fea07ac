#!/bin/sh
# SPDX-License-Identifier: MIT
# library.sh LIBRARY CC CXX SDK [PART NAMES HEADERS]: a third party's plugin may link
# a library of the SDK (PART, default the helpers; of at least so many names and headers) without a clash
# of names and without exporting them, and each header compiles alone and twice, as C and as C++.
set -u
library=$1 cc=$2 cxx=$3 sdk=$4 part=${5:-helpers} names=${6:-41} headers=${7:-5} failed=0 count=0

defined=$(nm --defined-only -g "$library" | awk 'NF == 3 {print $3}')
[ "$(echo "$defined" | grep -c '^nova_')" -ge "$names" ] || { echo "nm shows no library"; failed=1; }
other=$(echo "$defined" | grep -v '^nova_')
[ -z "$other" ] || { echo "names that may clash with a plugin's own: $other"; failed=1; }
seen=$(readelf -sW "$library" | awk '$5 == "GLOBAL" && $7 != "UND" && $6 != "HIDDEN" {print $8}')
[ -z "$seen" ] || { echo "not hidden: $seen"; failed=1; }

cd "$sdk/$part/include" || exit 1
flags="-Wall -Wextra -Wconversion -Wpedantic -Werror -fsyntax-only"
for header in novacore/"$part"/*.h; do
  for compiler in "$cc -std=c11 -x c" "$cc -std=c17 -x c" "$cxx -std=c++17 -x c++"; do
    count=$((count + 1))
    # shellcheck disable=SC2086 # the words of $compiler and $flags are wanted apart
    printf '#include <%s>\n#include <%s>\nint main(void);\n' "$header" "$header" |
      $compiler $flags -I. -I"$sdk/include" - || { echo "$header: ${compiler#* }"; failed=1; }
  done
done
[ $count -ge $((headers * 3)) ] || { echo "only $count headers were compiled"; failed=1; }
exit $failed
