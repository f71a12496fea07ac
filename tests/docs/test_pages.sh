#!/bin/bash
# SPDX-License-Identifier: MIT
# Every command, action and option has its place in a manual page, every page describes only what
# there is, and all of them are well formed. test_pages.sh NOVACORE SOURCE MANUAL MANIFEST
source=$(readlink -f "$2")
manual=$(readlink -f "$3")
manifest=$(readlink -f "$4")
. "$(dirname "$0")/../run/lib.sh"
export LC_ALL=C.UTF-8
command -v mandoc >/dev/null || { echo 'skipped: mandoc is not installed (./dev deps)'; exit 77; }

# The text of a page, wide enough that no name is broken.
text() { mandoc -Tutf8 -Owidth=600 "$1" | sed 's/.\x08//g'; }
options_of_help() { grep -oE '^  --[a-z][a-z-]*' "$1" | tr -d ' ' | sort -u; }
options_of_page() { sed -n '/^OPTIONS/,/^[A-Z]/p' "$1" | grep -E '^ {5,7}--' | grep -oE -- '--[a-z][a-z-]*' | sort -u; }
# "usage: novacore results list …" → list; "novacore plugin sign|verify FILE" → both
actions_of_help() { sed -n "/^\$/q;s/.*novacore $2 \([a-z][a-z|]*\).*/\1/p" "$1" | tr '|' '\n' | sort -u; }
# compare HELP PAGE: what is only in one of them
compare() { diff <(options_of_help "$1") <(options_of_page "$2") | grep '^[<>]' || true; }

note 'the commands are those of novacore(1), and each has its page'
expect 0 "$novacore" --help
sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$scratch/out" | sort >"$scratch/commands"
[ "$(wc -l <"$scratch/commands")" -gt 5 ] || fail 'novacore --help lists too few commands'
text "$manual/man1/novacore.1" >"$scratch/novacore.txt"
sed -n '/^COMMANDS/,/^OPTIONS/s/^ \{5,7\}\([a-z-]*\)$/\1/p' "$scratch/novacore.txt" | sort >"$scratch/described"
diff "$scratch/commands" "$scratch/described" || fail 'novacore(1) describes other commands'
for page in "$manual"/man1/novacore-*.1; do
  name=$(basename "$page" .1)
  [ "$name" != novacore-manifest ] || continue
  grep -qx "${name#novacore-}" "$scratch/commands" || fail "$name(1) is about no command"
done

note 'each option and action stands in the page of its command, and no other'
while read -r command; do
  page=$manual/man1/novacore-$command.1
  [ -f "$page" ] || fail "there is no page novacore-$command(1)"
  expect 0 "$novacore" "$command" --help
  cp "$scratch/out" "$scratch/$command.help"
  text "$page" >"$scratch/$command.txt"
  [ "$(options_of_help "$scratch/$command.help" | wc -l)" -ge 4 ] || fail "$command --help shows no options"
  # some actions have a --help of their own; its options stand in the command's page, too
  : >"$scratch/own.help"
  for action in $(actions_of_help "$scratch/$command.help" "$command"); do
    expect 0 "$novacore" "$command" "$action" --help
    cmp -s "$scratch/out" "$scratch/$command.help" || cat "$scratch/out" >>"$scratch/own.help"
  done
  cat "$scratch/$command.help" "$scratch/own.help" >"$scratch/$command.all"
  difference=$(compare "$scratch/$command.all" "$scratch/$command.txt")
  [ -z "$difference" ] || fail "options of $command (< only --help, > only its page): $difference"
  for action in $(actions_of_help "$scratch/$command.help" "$command"); do
    grep -qE "^ {5,7}([a-z, ]*, )?$action(,[a-z, ]*)?\$" "$scratch/$command.txt" || fail "novacore-$command(1) does not describe $action"
  done
done <"$scratch/commands"

note 'the same for the program novacore-manifest'
expect 0 "$manifest" --help
cp "$scratch/out" "$scratch/manifest.help"
text "$manual/man1/novacore-manifest.1" >"$scratch/manifest.txt"
[ "$(options_of_help "$scratch/manifest.help" | wc -l)" -ge 4 ] || fail 'novacore-manifest --help shows no options'
difference=$(compare "$scratch/manifest.help" "$scratch/manifest.txt")
[ -z "$difference" ] || fail "options of novacore-manifest (< only --help, > only its page): $difference"

note 'an option that is left out is seen'
sed 's/--dry-run/--dry-ran/' "$scratch/run.txt" >"$scratch/wrong.txt"
[ "$(compare "$scratch/run.help" "$scratch/wrong.txt")" = '< --dry-run
> --dry-ran' ] || fail 'a missing option is not seen'

note 'each plugin has a page with its parameters and metrics'
expect 0 "$novacore" plugin list --json
json "$scratch/out" '"\n".join("%s-%s %s" % (p["kind"], p["name"], " ".join(x["name"] for x in p["parameters"] + p["metrics"])) for p in r["plugins"])' >"$scratch/plugins"
while read -r name words; do
  # a plugin of the tests, or of NOVACORE_PLUGIN_PATH, comes without a page of ours
  [ -f "$source/plugins/${name%%-*}s/${name#*-}/${name#*-}.md" ] || continue
  page=$manual/man7/novacore-$name.7
  [ -f "$page" ] || fail "there is no page novacore-$name(7)"
  text "$page" >"$scratch/plugin.txt"
  for word in $words; do
    grep -qF -- "$word" "$scratch/plugin.txt" || fail "novacore-$name(7) does not have $word"
  done
done <"$scratch/plugins"
expect 2 "$novacore" plugin list --format markdown
says 'goes with info'
expect 2 "$novacore" plugin info lifecycle --format html
for folder in "$source"/plugins/*/*/; do
  [ -f "$folder$(basename "$folder").md" ] || fail "$folder has no manual page"
done

note 'mandoc and man find nothing wrong in them'
for page in "$manual"/man?/*; do
  # no date: builds of the same source are the same
  problems=$(mandoc -Tlint -Wwarning "$page" | grep -v 'missing date' || true)
  [ -z "$problems" ] || fail "$problems"
  grep -q '^\.SH NAME' "$page" || fail "$page has no NAME"
  ! command -v man >/dev/null ||
    # how wide a table gets is no mistake in it
    problems=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null |
      grep -vE "(table|column|can't (break|adjust)|cannot (break|adjust)|around line)" || true)
  [ -z "$problems" ] || fail "$page: $problems"
done
