#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compare.py INJECTED.json MEASURED.json [--report | --gate]

INJECTED is a result of clock=virtual, whose samples are what was injected; MEASURED one of clock=real
with the same seed and plan. Matches them by step, VM and metric.

Always: every sample is there on both sides with the same status, and no measured duration is shorter
than the injected one (nothing ends before its time, however busy the machine is).
--gate: besides, the median of measured/injected is below 1.1 for each metric, so that a harness that
adds a latency of its own is found even on a loaded machine.
--report: prints the errors of p50, p95, p99 and of the worst VM against the bar of 1 %; judges nothing.
`total` holds the time between the calls too, and is only reported."""
import json
import sys


def samples(path):
    found = {}
    with open(path) as file:
        result = json.load(file)
    for step in result["steps"]:
        columns = step["samples"]["columns"]
        for row in step["samples"]["rows"]:
            row = dict(zip(columns, row))
            if row["counted"]:
                found[step["index"], row["vm"], row["metric"], row["seq"]] = row
    return found


def quantile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(p * len(values)))]


def main():
    injected, measured = samples(sys.argv[1]), samples(sys.argv[2])
    mode = sys.argv[3] if len(sys.argv) > 3 else ""
    wrong = ["only on one side: %s" % (key,) for key in injected.keys() ^ measured.keys()]
    pairs = {}
    for key in injected.keys() & measured.keys():
        a, b = injected[key], measured[key]
        if a["status"] != b["status"]:
            wrong.append("%s: %s injected, %s measured" % (key, a["status"], b["status"]))
        elif a["status"] == "ok":
            pairs.setdefault(key[2], []).append((a["value"], b["value"]))
            if b["value"] < a["value"] - 1e-9:
                wrong.append("%s: %g s is shorter than %g s" % (key, b["value"], a["value"]))
    if not pairs:
        wrong.append("no sample to compare")
    for metric, values in sorted(pairs.items()):
        ratios = [b / a for a, b in values]
        errors = ["p%g %+.3f %%" % (p * 100, 100 * (quantile([b for _, b in values], p) /
                                                    quantile([a for a, _ in values], p) - 1))
                  for p in (0.5, 0.95, 0.99)]
        print("%-28s n %-5d %s  worst VM %+.3f %%" % (metric, len(values), "  ".join(errors),
                                                     100 * (max(ratios) - 1)))
        if mode == "--gate" and metric != "lifecycle.total" and quantile(ratios, 0.5) >= 1.1:
            wrong.append("%s: half of the samples are 10 %% or more too long" % metric)
    for line in wrong[:20]:
        print("WRONG", line)
    return 0 if mode == "--report" or not wrong else 1


sys.exit(main())
