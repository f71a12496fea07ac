#!/bin/bash
# SPDX-License-Identifier: MIT
# test_flame.sh NOVACORE: what flame draws of recordings of others, and what it refuses.
. "$(dirname "$0")/../profiler/lib.sh"

drawn() { # FILE: well-formed XML of ours
  python3 -c 'import sys, xml.etree.ElementTree; xml.etree.ElementTree.parse(sys.argv[1])' "$1" || fail "$1 is no XML"
  grep -q '^<svg ' "$1" || fail "$1 is no SVG"
}
has() { grep -qF -- "$2" "$1" || fail "$1 does not say \"$2\""; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 says \"$2\""; }

note "perf script, folded stacks and pprof, by pipe and by file"
perf_text much=700 some=200 little=100 >a.perf
expect 0 "$novacore" flame a.perf --output a.svg
drawn a.svg
has a.svg '700 samples, 70 %'
has a.svg 'much (worker)'
grep -q 'a.svg: 4 boxes, the highest stack has 2' err || fail "it does not say what it drew: $(cat err)"
expect 0 bash -c "'$novacore' flame - <a.perf"
cp out piped.svg
drawn piped.svg
has piped.svg 'standard input'
expect 0 bash -c "'$novacore' flame - --format html --title 'one & two' <a.perf"
has out '<h1>one &amp; two</h1>'
has out '<td class="n">70.00 %</td>'
expect 0 "$novacore" flame a.perf --output a.HTML --quiet
has a.HTML '<!DOCTYPE html>'
[ ! -s err ] || fail "--quiet is not quiet"
ln -s real.svg link.svg
: >real.svg
expect 0 "$novacore" flame a.perf --output link.svg
drawn real.svg
[ -L link.svg ] || fail "a link was replaced by what should stand behind it"

note "several are added up"
printf 'main;a 3\nmain;b 1\n' >b.folded
printf 'main;a_[k] 2\nmain;a 5\n' >c.folded
expect 0 "$novacore" flame b.folded c.folded --output bc.svg
drawn bc.svg
has bc.svg '8 samples, 72.73 %'
has bc.svg 'a, kernel'
has bc.svg 'b.folded + c.folded'
expect 0 "$novacore" flame b.folded b.folded b.folded b.folded b.folded --output many.svg
has many.svg 'b.folded + b.folded + b.folded and 2 more'
refused "cannot be added" "$novacore" flame a.perf b.folded --output no.svg
[ ! -e no.svg ] || fail "a picture of what cannot be added"

note "reverse, by, value, min-width"
expect 0 "$novacore" flame a.perf --reverse --by thread --output r.svg
drawn r.svg
has r.svg 'worker 42'
has r.svg 'from the leaf'
expect 0 "$novacore" flame a.perf --by cpu --value cpu --output cpu.svg
has cpu.svg 'CPU 1'
has cpu.svg '70 %'
lacks cpu.svg 'samples'
expect 0 "$novacore" flame b.folded --by thread --output unknown.svg
grep -q 'b.folded does not say in which thread its samples were taken' err || fail "no word of what it does not know"
expect 0 "$novacore" flame a.perf --min-width 15% --output few.svg
lacks few.svg little
has few.svg '1 boxes are too narrow'

note "differences"
perf_text much=400 some=500 fresh=100 >d.perf
expect 0 "$novacore" flame --diff a.perf d.perf --output diff.svg
drawn diff.svg
has diff.svg '70 % → 40 %'
has diff.svg ': new, q '
has diff.svg 'in paths that vanished: vanished, q '
grep -q 'paths tested; 2 boxes are marked as more, 2 as less' err || fail "the summary: $(cat err)"
expect 0 "$novacore" flame a.perf d.perf --diff --format html --output diff.page
has diff.page 'value="before"'
expect 0 "$novacore" flame --diff a.perf a.perf --output same.svg
grep -q 'nothing but noise' err || fail "a recording differs from itself: $(cat err)"
lacks same.svg 'Paths that vanished'
perf_text much=1400 some=400 little=200 >e.perf
expect 0 "$novacore" flame --diff a.perf e.perf --output e.svg
grep -q 'nothing but noise' err || fail "shares have not changed: $(cat err)"
expect 0 "$novacore" flame --diff a.perf e.perf --absolute --output e.svg
grep -q '4 boxes are marked as more, 0 as less' err || fail "counts have doubled: $(cat err)"
refused "cannot be compared" "$novacore" flame --diff a.perf b.folded --value cpu --output no.svg

note "hostile names, deep stacks, great counts"
printf '</title><script>alert(1)</script>;"><img src=x>;\033[31m\xff\xfe 5\n' >h.folded
expect 0 "$novacore" flame h.folded --output h.svg --title '</title><script>x</script>'
drawn h.svg
[ "$(grep -c '<script' h.svg)" = 1 ] || fail "a name became a script"
python3 -c 'print(";".join(["recurse"] * 5000), 7)' >deep.folded
expect 0 "$novacore" flame deep.folded --output deep.svg
drawn deep.svg
printf 'main;a 18446744073709551615\nmain;b 18446744073709551615\nmain;c 7\n' >great.folded
expect 0 "$novacore" flame great.folded --output great.svg
drawn great.svg
expect 0 "$novacore" flame --diff great.folded b.folded --output great.svg
drawn great.svg

note "wrong use and wrong input"
refused "takes FILEs" "$novacore" flame
refused "takes two files" "$novacore" flame --diff a.perf --output no.svg
refused "--absolute is for --diff" "$novacore" flame a.perf --absolute --output no.svg
refused "only once" "$novacore" flame - - --output no.svg
refused "ends with .svg or .html" "$novacore" flame a.perf --output picture.png
refused "did you mean html" "$novacore" flame a.perf --format htm --output no.svg
refused "did you mean thread" "$novacore" flame a.perf --by threads --output no.svg
refused "--min-width takes a share" "$novacore" flame a.perf --min-width 2px --output no.svg
refused 'no values "heap"; it has samples, cpu' "$novacore" flame a.perf --value heap --output no.svg
refused "did you mean --reverse" "$novacore" flame a.perf --reversed --output no.svg
refused "no such file" "$novacore" flame nothing.perf --output no.svg
printf 'main;a 3\nmain;b\n' >broken.folded
refused "broken.folded:2:" "$novacore" flame broken.folded --output no.svg
[ ! -e no.svg ] || fail "a picture in spite of an error"
script -qec "'$novacore' flame a.perf" /dev/null </dev/null >typed || true
grep -q 'nothing for a terminal' typed || fail "a terminal got a picture: $(head -c 200 typed)"
if [ -w /dev/full ]; then
  expect 4 bash -c "'$novacore' flame a.perf >/dev/full"
  grep -q 'no space left' err || fail "a full disk: $(cat err)"
fi
echo "all of it holds"
