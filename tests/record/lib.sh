# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of recording share. Sourced with NOVACORE WORKLOAD INLINED WAITING JIT BARE.
workload=$(readlink -f "$2") inlined=$(readlink -f "$3") waiting=$(readlink -f "$4") jit=$(readlink -f "$5") bare=$(readlink -f "$6")
. "$(dirname "${BASH_SOURCE[0]}")/../run/lib.sh"

# What no test can do without: this kernel lets us sample our own processes.
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 9)
if [ "$paranoid" -gt 2 ] && [ "$(id -u)" != 0 ]; then
  echo "SKIP: kernel.perf_event_paranoid is $paranoid: nobody may sample"
  exit 77
fi

# shares FILE: the three functions have 70, 20 and 10 % of what is theirs, within five standard errors
shares() {
  expect 0 "$novacore" hotspots "$1" --threshold 0 --format json --output spots.json
  python3 - <<'PYTHON' || fail "the shares in $1 are not those of the workload"
import json
functions = {f["name"]: f for f in json.load(open("spots.json"))["functions"]}
got = {name: functions[name]["self"]["share"] for name in ("seventy", "twenty", "ten")}
total, samples = sum(got.values()), json.load(open("spots.json"))["samples"]
print("%d samples, %s" % (samples, got))
assert samples >= 20 and total > 0.5, (samples, total)
for name, share in (("seventy", 0.7), ("twenty", 0.2), ("ten", 0.1)):
    error = (share * (1 - share) / (samples * total)) ** 0.5
    assert abs(got[name] / total - share) < 5 * error + 0.01, (name, got[name] / total, error)
assert all(functions[n]["library"].endswith("/record_workload") for n in got), functions
PYTHON
}
