#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a manual page of a Markdown file: page.sh LOWDOWN SOURCE NAME SECTION FILE [GENERATOR MANIFEST]
# prints man(7). SOURCE stands at its foot ("novacore 1.2"). With a manifest, and novacore-manifest
# to read it, summary, parameters and metrics come from there, else the summary is the first
# paragraph of the file. The file's title becomes NAME, its "## X" sections.
set -eu
lowdown=$1 source=$2 name=$3 section=$4 file=$5 facts=
case $name.$section in
novacore.1) see='novacore-run(1), novacore-doctor(1), novacore-plugin(1)' ;;
novacore-plugin.1) see='novacore(1), novacore-plugin(3)' ;;
novacore-manifest.1) see='novacore-plugin(1), novacore-plugin(3)' ;;
novacore-plugin.3) see='novacore-plugin(1), novacore-manifest(1), novacore-benchmark(3), novacore-hypervisor(3), novacore-optimizer(3), novacore-profile(3), novacore-testhost(3)' ;;
*.3) see='novacore-plugin(1), novacore-plugin(3)' ;;
*) see='novacore(1)' ;;
esac
if [ $# -gt 5 ]; then
  facts=$("$6" --markdown "$7")
  see="$see, novacore-plugin(1)"
fi

markdown() {
  awk -v name="$name" -v summary="$(printf '%s\n' "$facts" | sed -n 1p)" \
    -v common="$(dirname "$file")/common.md" '
    NR == 1 { next }                                        # the title
    /^<!-- include common -->$/ { while ((getline line < common) > 0) print line; next }
    /^<!--/ { next }
    /^```/ { fenced = !fenced }
    !started && summary != "" { head(summary); print "# DESCRIPTION\n"; started = 1 }
    !started && /^$/ { next }
    !started { head($0); started = 1; next }
    !fenced && /^## / { print "# " toupper(substr($0, 4)); next }
    !fenced && /^###+ / { print substr($0, 2); next }
    { print }
    function head(text) { printf "# NAME\n\n%s - %s\n\n", name, text }
  ' "$file"
  [ -z "$facts" ] || printf '%s\n' "$facts" | sed '1d; s/^### /## /; 2s/^/# REFERENCE\
\
From the manifest, as `novacore plugin info` prints it.\
/'
  printf '\n# SEE ALSO\n\n%s\n' "$see"
}

# \fC (typewriter) is no font of a terminal, justified tables have holes, and a paragraph directly
# after a heading is none. No date: two builds of a version are the same.
markdown | "$lowdown" -s -Tman -M title="$name" -M section="$section" -M source="$source" \
  -M volume=novacore -M date= | awk '
    /^\.(PP|LP)$/ && heading { next }
    { gsub(/\\fC/, "\\fB") }
    /^\.S[HS]$/ { printf "%s ", $0; getline; heading = 1; print; next }
    { print; heading = 0 }
    /^\.TH / { print ".nr HY 0\n.nh\n.ad l" }'
