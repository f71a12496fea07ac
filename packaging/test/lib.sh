# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts beside this one share; they run in a throw-away system, as root.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 NO_COLOR=1
work=$(mktemp -d)
chmod 755 "$work"
cd "$work"

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
note() { printf -- '-- %s\n' "$*"; }
apt() { apt-get -y -q -o Dpkg::Use-Pty=0 "$@" >"$work/apt" 2>&1 || { tail -n 30 "$work/apt" >&2; fail "apt-get $*"; }; }
# expect CODE COMMAND…: runs it, output to out and err, and checks the exit code.
expect() {
  local wanted=$1 code=0
  shift
  timeout -k 5 300 "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ $code = "$wanted" ] || { tail -n 20 "$work/out" "$work/err" >&2; fail "exit code $code, not $wanted: $*"; }
}
says() { grep -qF -- "$1" "$work/out" "$work/err" || { tail -n 20 "$work/out" "$work/err" >&2; fail "nothing says \"$1\""; }; }
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
no_package_like() { # PATTERN [BUT]: none whose name matches, but those that match the second one
  local found
  found=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | grep -E "$1" |
    grep -vE "${2:-^$}" || true)
  [ -z "$found" ] || fail "was installed, too: $found"
}
nothing_refused() {
  expect 0 novacore plugin list --refused
  says "No plugin was refused"
}
# Everything that is on the system but for what apt and dpkg note of their own work.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /srv \
    -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache/apt -o -path /var/cache/man \
    -o -path /var/log -o -path /var/cache/debconf -o -path /var/cache/ldconfig \) -prune -o -print | sort
}
apt update
