#!/bin/bash
# SPDX-License-Identifier: MIT
# new.sh NOVACORE SOURCE: what `plugin new` takes and refuses; all or nothing, and never over
# anything. That the projects build is the affair of installed.sh.
source=$(readlink -f "$2")
. "$(dirname "$(readlink -f "$0")")/../run/lib.sh"
umask 022
new() { local code=$1; shift; expect "$code" "$novacore" plugin new "$@"; }
listing() { find "$1" -mindepth 1 -printf '%P\n' | sort | tr '\n' ' '; }

note 'a project in a new directory, named after the plugin'
new 0 benchmark hello --author 'Ada Lovelace'
says 'cmake --build build'
says 'run --plugin sim --benchmark hello'
[ "$(listing hello)" = '.gitignore CMakeLists.txt LICENSE README.md hello.c hello.md test_hello.c ' ] ||
  fail "it has $(listing hello)"
grep -qF "Copyright (c) $(date -u +%Y) Ada Lovelace" hello/LICENSE || fail 'the licence is nobody'\''s'
grep -qF '.name = "hello"' hello/hello.c || fail 'it has another name'
grep -qF 'SPDX-License-Identifier: MIT' hello/hello.c || fail 'it has no licence'
[ "$(stat -c %a hello hello/hello.c | tr '\n' ' ')" = '755 644 ' ] || fail 'modes are not those of the umask'
! ls -d hello.* 2>/dev/null || fail 'something temporary is left'
[ "$(wc -l <hello/hello.c)" -lt 50 ] || fail 'the minimal benchmark is not below 50 lines'

note 'every kind, no placeholder left, no path of this machine'
for kind in benchmark hypervisor optimizer profile; do
  new 0 $kind "one-$kind" "dir $kind"
  ! grep -rlE '@[A-Z]+@' "dir $kind" || fail 'a placeholder is left'
  ! grep -rlF "$source" "dir $kind" || fail 'it names the source tree'
  ! find "dir $kind" -name '*@*' | grep . || fail 'a name is not expanded'
done
says "cd 'dir profile'"

note 'the current directory, where it is empty but for git'
mkdir -p here/.git
cd here
new 0 profile mine .
cd ..
[ -s here/mine.conf ] && [ -s here/.gitignore ] || fail "it has $(listing here)"
grep -q '^  cmake -B build' out || fail 'no next steps'
! grep -q '^  cd' out || fail 'nobody has to go anywhere'

note 'nothing is written over'
mkdir full
echo mine >full/keep
before=$(listing full)
new 2 benchmark hello full
says 'is not empty'
says 'keep'
[ "$(listing full)" = "$before" ] && [ "$(cat full/keep)" = mine ] || fail 'it was touched'
new 2 benchmark hello
says 'hello is not empty'
touch file
new 2 benchmark x file
[ -f file ] && [ ! -s file ] || fail 'a file was touched'
ln -s nowhere dangling
new 2 benchmark x dangling
[ -L dangling ] && [ ! -e nowhere ] || fail 'a link was followed'

note 'all or nothing'
mkdir -m 555 closed
if [ "$(id -u)" != 0 ]; then
  expect 3 "$novacore" plugin new benchmark x closed
  [ -z "$(listing closed)" ] || fail 'something was written'
fi
expect 2 "$novacore" plugin new benchmark x not/there
[ ! -e not ] || fail 'a parent was made'
mkdir small
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=8k tmpfs small 2>/dev/null; then
  code=0
  "$novacore" plugin new hypervisor x small >out 2>err || code=$?
  left=$(listing small)
  umount small
  [ $code != 0 ] || fail 'a project fits into two pages'
  [ -z "$left" ] || fail "of a project that does not fit there is $left"
  says 'nothing was written'
fi

note 'only said, not done'
new 0 optimizer frugal --dry-run
says 'Would write optimizer/frugal in frugal'
says 'frugal.c'
[ ! -e frugal ] || fail '--dry-run wrote something'

note 'licences: MIT comes with its text, another one is named'
new 0 benchmark apache --license Apache-2.0
[ ! -e apache/LICENSE ] || fail 'there is the text of another licence'
grep -qF 'SPDX-License-Identifier: Apache-2.0' apache/apache.c || fail 'the licence is not named'
grep -qF '.license = "Apache-2.0"' apache/apache.c || fail 'the descriptor has another licence'
new 0 profile libre --license 'MIT OR Apache-2.0'
grep -qF 'LICENSE "MIT OR Apache-2.0"' libre/CMakeLists.txt || fail 'the licence is lost'

note 'wrong words name the right ones'
new 2 benchmrak x
says 'did you mean `benchmark`?'
new 2 '' x
says 'is no kind of plugin'
new 2 benchmark My_Plugin
says 'write `my-plugin`'
for name in '' - -x x/y ../x 'a b' ä "$(printf 'x%.0s' {1..65})"; do
  new 2 benchmark -- "$name"
  says 'cannot be the name of a plugin'
done
new 2 benchmark
says 'say which kind'
new 2
new 2 benchmark x y z
says 'what is `z`'
new 2 benchmark x ''
says 'has no name'
new 2 benchmark x --author "$(printf 'a\nb')"
says '--author'
new 2 benchmark x --author ''
new 2 benchmark x --license 'MIT" */'
says '--license'
new 2 benchmark x --licence MIT
says 'did you mean --license?'
[ ! -e x ] || fail 'something was written'

note 'a name that is taken is said so'
new 0 hypervisor sim
grep -qF 'there is a plugin hypervisor/sim already' err || fail 'nothing says that sim is taken'

note 'help'
new 0 --help
says 'usage: novacore plugin new KIND NAME'
says 'novacore plugin new benchmark hello'
