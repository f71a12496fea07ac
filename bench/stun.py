# SPDX-License-Identifier: MIT
"""The observer of heartbeats against gaps that were put there."""
import os
import subprocess

import figures

BAR_S = 100e-6  # measuring.md: the stun's resolution


def measure(options):
    rounds = 40 if options.quick else 1200
    done = subprocess.run([os.path.join(options.build, "bench/stun"), str(rounds)], check=True,
                          stdout=subprocess.PIPE, text=True)
    errors, unsure, beyond, floor, claimed, lost = [], [], [], [], [], 0
    for line in done.stdout.splitlines():
        words = line.split()
        drawn, least, most, seen, resolution = (int(word) / 1e9 for word in words[:5])
        lost += len(words) > 5
        claimed.append(resolution)
        errors.append(abs(seen - (least + most) / 2))
        unsure.append((most - least) / 2)
        beyond.append(max(0.0, least - seen, seen - most))
        if drawn == 0:
            floor.append(seen)
    worst = max((error, off, rest) for error, off, rest in zip(errors, unsure, beyond))
    results = []
    for q, name in ((0.5, "median"), (0.95, "p95"), (0.99, "p99")):
        value, interval = figures.quantile(errors, q)
        met = None if interval is None or interval[0] <= BAR_S < interval[1] else interval[1] <= BAR_S
        reason = None if met else (
            "too few rounds" if interval is None else
            "in the worst round, %.0f µs, the sender itself is unsure by ± %.0f µs, since it lost the "
            "processor while it sent" % (worst[0] * 1e6, worst[1] * 1e6))
        results.append(figures.result("observed − injected gap, %s" % name, value, interval,
                                      len(errors), "s", "order statistics", BAR_S, met, reason))
    results.append(figures.result("beyond what the sender is unsure of, worst", max(beyond), None,
                                  len(beyond), "s", "largest of the rounds", BAR_S,
                                  max(beyond) <= BAR_S,
                                  None if max(beyond) <= BAR_S else "not known"))
    value, interval = figures.quantile(claimed, 0.5)
    results.append(figures.result("resolution that the observer claims, median", value, interval,
                                  len(claimed), "s", "order statistics"))
    value, interval = figures.quantile(floor, 0.5)
    results.append(figures.result("longest distance with no gap, median", value, interval,
                                  len(floor), "s", "order statistics"))
    return {"results": results, "notes": [
        "gaps of 1 … 50 ms, drawn; a beat each 0.1 ms; %d of %d rounds lost beats" % (
            lost, len(errors))]}
