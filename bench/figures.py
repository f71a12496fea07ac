# SPDX-License-Identifier: MIT
"""Intervals, tables and reports of the benchmarks. Standard library only."""
import json
import math
import os
import platform
import subprocess
import time

LEVEL = 0.95


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def _binomial_below(n, p):
    """P(X <= k) for k = 0 … n, X binomial; in logarithms, so that n may be thousands."""
    total, sums = 0.0, []
    for k in range(n + 1):
        total += math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                          + k * math.log(p) + (n - k) * math.log(1 - p))
        sums.append(min(1.0, total))
    return sums


def quantile(values, q):
    """The q-quantile (an observed value) and its exact order-statistic interval, None if n is too
    small for one."""
    values, n, side = sorted(values), len(values), (1 - LEVEL) / 2
    value = median(values) if q == 0.5 else values[min(n - 1, math.ceil(q * n) - 1)]
    below = _binomial_below(n, q)
    low = max((k for k in range(n + 1) if below[k] <= side), default=None)
    high = min((k for k in range(n + 1) if below[k] >= 1 - side), default=None)
    if low is None or high is None or high >= n:
        return value, None
    return value, [values[low], values[high]]


def share(hits, n):
    """hits / n with its Clopper-Pearson interval."""
    def solve(k, goal):
        low, high = 1e-12, 1 - 1e-12
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if _binomial_below(n, middle)[k] > goal else (low, middle)
        return low
    side = (1 - LEVEL) / 2
    return hits / n, [solve(hits - 1, 1 - side) if hits else 0.0,
                      solve(hits, side) if hits < n else 1.0]


def _signed_rank_limit(n):
    """The largest k with P(W <= k) <= (1 - LEVEL) / 2, W the signed-rank statistic; -1: n is too
    small. Exact."""
    ways = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    total, limit = 0, -1
    for k, count in enumerate(ways):
        total += count
        if total > (1 - LEVEL) / 2 * 2 ** n:
            break
        limit = k
    return limit


def hodges_lehmann(values):
    """Median of the Walsh averages, and the interval that the exact signed-rank test gives."""
    walsh = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    limit = _signed_rank_limit(len(values))
    interval = [walsh[limit], walsh[len(walsh) - 1 - limit]] if limit >= 0 else None
    return median(walsh), interval


def ratio(logs):
    value, interval = hodges_lehmann(logs)
    return math.exp(value), interval and [math.exp(x) for x in interval]


def result(what, value, interval, n, unit, method, bar=None, met=None, reason=None, at_least=False):
    """`met` True or False, or None where the interval lies on both sides of the bar. `at_least`: the
    bar is the least that the value may be, not the most."""
    verdict = ("reported" if bar is None else "undecided" if met is None else
               "met" if met else "missed")
    return {"what": what, "value": value, "interval": interval, "level": LEVEL, "n": n, "unit": unit,
            "method": method, "bar": bar, "at_least": at_least, "verdict": verdict, "reason": reason}


def machine():
    def first(path, key):
        try:
            with open(path, encoding="utf-8") as lines:
                return next((x.split(":", 1)[1].strip() for x in lines if x.startswith(key)), None)
        except OSError:
            return None

    def version(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
        except OSError:
            return None
    return {"cpu": first("/proc/cpuinfo", "model name"), "cpus": os.cpu_count(),
            "memory": first("/proc/meminfo", "MemTotal"), "kernel": platform.release(),
            "in_vm": "hypervisor" in (first("/proc/cpuinfo", "flags") or "").split(),
            "qemu": version("qemu-system-x86_64", "--version"),
            "libvirt": version("libvirtd", "--version"), "user": os.geteuid()}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def write_json(path, report):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as out:
        json.dump(report, out, indent=1)
        out.write("\n")
    os.rename(path + ".new", path)


def _cell(value):
    return "–" if value is None else value if isinstance(value, str) else "%.4g" % value


def table(rows):
    rows = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def show(report):
    print("\n%s · %s · load before %.2f, after %.2f" % (
        report["name"], report["when"], report["load"][0], report["load"][1]))
    rows = [["what", "value", "95 % interval", "unit", "n", "bar", "verdict"]]
    for r in report["results"]:
        interval = r["interval"] and "%s … %s" % tuple(_cell(x) for x in r["interval"])
        rows.append([r["what"], r["value"], interval, r["unit"], str(r["n"]),
                     "–" if r["bar"] is None else
                     "%s %s" % ("≥" if r["at_least"] else "≤", _cell(r["bar"])), r["verdict"]])
    table(rows)
    for r in report["results"]:
        if r["reason"]:
            print("  %s: %s" % (r["what"], r["reason"]))
    for title, rows in report.get("tables", {}).items():
        print("  " + title + ":")
        table([["  " + _cell(row[0])] + row[1:] for row in rows])
    for note in report.get("notes", []):
        print("  " + note)
