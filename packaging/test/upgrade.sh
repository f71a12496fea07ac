# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The next version is installed while runs are going. A step that has begun ends with the files that it
# began with; before the next step the run is paused, because its plugin is another one, and can be
# resumed.
. /srv/test/lib.sh
apt install novacore novacore-hypervisor-sim
version=$(dpkg-query -W -f='${Version}' novacore)

begin() { # name, arguments…
  local name=$1
  shift
  novacore run --plugin sim "$@" >"$name.out" 2>"$name.err" </dev/null &
  for _ in $(seq 100); do
    ! grep -q 'samples' "$name.err" || return 0
    sleep 0.1
  done
  cat "$name.out" "$name.err" >&2
  fail "run $name has not begun"
}
ended() { # name, pid, wanted code
  local code=0
  wait "$2" || code=$?
  [ $code = "$3" ] || { cat "$1.out" "$1.err" >&2; fail "run $1 ended with $code, not $3"; }
}

note "a run of one step, a run of two, and the upgrade in the first step of both"
slow=(--set hypervisor.sim.ready=constant:1s)
begin one --benchmark lifecycle --set run.samples=20 "${slow[@]}"
one=$!
NOVACORE_HOME=/var/lib/two begin two --benchmark lifecycle --set lifecycle.concurrency=1,4 --set run.samples=10 "${slow[@]}"
two=$!
rm /etc/apt/sources.list.d/novacore.list
echo "deb [trusted=yes] file:/srv/next ./" >/etc/apt/sources.list.d/novacore.list
apt update
apt dist-upgrade
now=$(dpkg-query -W -f='${Version}' novacore)
dpkg --compare-versions "$now" gt "$version" || fail "$version was not upgraded: $now"
kill -0 $one $two || fail "a run had ended before the upgrade"
nothing_refused

ended one $one 0
grep -q complete one.out || fail "run one is not complete: $(cat one.out)"
ended two $two 4
tail -n 1 two.err
grep -q 'was replaced' two.err || fail "nothing says why the run is paused"
export NOVACORE_HOME=/var/lib/two
expect 0 novacore run --resume last
says "complete"
says "$(echo "$now" | sed 's/-.*//')"
grep -h "resumed" out | sort -u
unset NOVACORE_HOME
rm -rf /var/lib/two

note "the way back"
rm /etc/apt/sources.list.d/novacore.list
echo "deb [trusted=yes] file:/srv/packages ./" >/etc/apt/sources.list.d/novacore.list
apt update
apt install --allow-downgrades "novacore=$version" "novacore-hypervisor-sim=$version" \
  "novacore-profiles=$version" "novacore-benchmark-lifecycle=$version"
nothing_refused
expect 0 novacore results list
says "complete"
apt purge --autoremove 'novacore*'
[ ! -e /var/lib/novacore ] || fail "left: $(find /var/lib/novacore)"
