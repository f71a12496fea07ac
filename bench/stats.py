# SPDX-License-Identifier: MIT
"""How long core/stats takes for 100, 1,000 and 10,000 values; its bar is for the latter."""
import os
import subprocess

import figures

BAR_S = 0.1  # "10,000 points in tens of milliseconds"
REPETITIONS = 30
OF = {"ratio_bootstrap": "2,000 resamples", "permutation_paired": "999 flips",
      "sequential": "a look after each pair", "variation": "2,000 resamples",
      "fdr": "of so many tests", "summarise": "sorting included"}
WHY = {"variation": "2,000 resamples of 10,000 are 20 million draws; nobody waits for more than one",
       "theil_sen": "a merge sort for each of some fifty slopes"}


def measure(options):
    program = os.path.join(options.build, "bench/stats")
    repetitions = 6 if options.quick else REPETITIONS
    done = subprocess.run([program, str(repetitions)], stdout=subprocess.PIPE, text=True, check=True)
    times = {}
    for line in done.stdout.splitlines():
        name, n, ns = line.split()
        times.setdefault((name, int(n)), []).append(int(ns) / 1e9)
    results = []
    for (name, n), values in times.items():
        value, interval = figures.quantile(values, 0.5)
        bar = BAR_S if n == 10000 else None
        what = "%s, %s%s" % (name, "{:,}".format(n), " (%s)" % OF[name] if name in OF else "")
        missed = bar is not None and value > bar
        results.append(figures.result(what, value, interval, len(values), "s",
                                      "CPU time of a call, log-normal values, functions in turn",
                                      bar, None if bar is None else not missed,
                                      WHY.get(name, "not known") if missed else None))
    return {"results": results}
