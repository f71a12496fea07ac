# SPDX-License-Identifier: MIT
"""Whether novacore and perf see the same: the top 20 functions of a program that says itself what each had, sampled by
novacore, by perf, and by perf again, each in a run of its own: two that sample at once do it at the same moments. How
the two of perf differ is its sampling error."""
import collections
import math
import os
import random
import shutil
import subprocess
import tempfile
import time

import figures

TOP = 20
ERROR = 1 - figures.LEVEL


def start(command):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def of_perf(path, names):
    """Samples of each function; the stack's lines are frames from the leaf, an empty line ends it."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym"], capture_output=True, text=True, check=True)
    counts = collections.Counter()
    for sample in text.stdout.split("\n\n"):
        words = [line.split()[1] for line in sample.split("\n") if len(line.split()) > 1]
        if words:
            counts[next((word for word in words if word in names), None)] += 1
    return counts


def of_novacore(path, names):
    counts = collections.Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            stack, count = line.rsplit(" ", 1)
            counts[next((name for name in reversed(stack.split(";")) if name in names), None)] += int(count)
    return counts


def sampled(options, who, seconds, seed):
    """CPU time of each function in one run of the program, and samples of each."""
    with tempfile.TemporaryDirectory(prefix="novacore-bench-") as place:
        program = subprocess.Popen([os.path.join(options.build, "bench/top"), str(seconds), str(seed)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pid, path = str(program.pid), os.path.join(place, "recording")
        profiler = start([os.path.join(options.build, "novacore"), "record", "--pid", pid, "--duration", "1h",
                          "--output", path] if who == "novacore" else
                         ["perf", "record", "-F", "99", "-g", "-p", pid, "-o", path])
        time.sleep(1)  # who is late misses the beginning, which is like the rest
        said, _ = program.communicate("\n")
        if program.returncode or profiler.wait():
            raise SystemExit("bench top: the program or %s failed" % who)
        had = {name: int(ns) for name, ns in (line.split() for line in said.splitlines())}
        read = of_novacore if who == "novacore" else of_perf
        return had, read(path + "/cpu.folded" if who == "novacore" else path, had)


def log_choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def equal_shares(a, n, b, m):
    """p of a of n and b of m being as far apart, if their shares are the same: Fisher's exact test, mid-p, because the
    exact one is wrong more seldom than it says."""
    low, high = max(0, a + b - m), min(n, a + b)
    chances = [math.exp(log_choose(n, k) + log_choose(m, a + b - k) - log_choose(n + m, a + b))
               for k in range(low, high + 1)]
    here = chances[a - low]
    return min(1.0, sum(p for p in chances if p < here * (1 - 1e-9))
               + sum(p for p in chances if abs(p - here) <= here * 1e-9) / 2)


def of_truth(a, n, share):
    """p of a of n, if the share is that, which is known as good as exactly."""
    return math.erfc(abs(a / n - share) / math.sqrt(2 * share * (1 - share) / n))


def adjusted(p):
    """Benjamini and Hochberg: q of each."""
    order, least, q = sorted(range(len(p)), key=lambda i: -p[i]), 1.0, [0.0] * len(p)
    for passed, i in enumerate(order):
        least = min(least, p[i] * len(p) / (len(p) - passed))
        q[i] = least
    return q


def rate(what, tests, bar):
    """How many of the tests reject; as many as chance makes is met, no matter how exactly that is known."""
    value, interval = figures.share(sum(p < ERROR for p in tests), len(tests))
    met = None if bar is None else interval[0] <= bar
    return figures.result(what, value, interval, len(tests), "1", "a test for each function of each block", bar, met,
                          None if met is not False else "more than chance explains")


def measure(options):
    if not shutil.which("perf") or os.geteuid():
        raise SystemExit("bench top: it compares with perf (linux-perf), as root")
    rng, sides = random.Random(1), ("novacore", "perf", "perf again")
    truth, sums = [[collections.Counter() for _ in sides] for _ in range(2)]
    blocks = []
    for block in range(3 if options.quick else 24):
        seen = [None] * len(sides)
        for i in rng.sample(range(len(sides)), len(sides)):
            had, seen[i] = sampled(options, sides[i], 2 if options.quick else 6, 1 + 3 * block + i)
            truth[i].update(had)
            sums[i].update(seen[i])
        blocks.append(seen)
    names = [name for name, _ in sum(truth, collections.Counter()).most_common() if name != "all"][:TOP]
    all_of = [sum(counts.values()) for counts in sums]

    def against(seen, one, two):
        return [equal_shares(seen[one][name], sum(seen[one].values()), seen[two][name], sum(seen[two].values()))
                for name in names]
    q = adjusted(against(sums, 0, 1))
    results = [rate("functions of a block that differ at 5 %, novacore and perf",
                    [p for seen in blocks for p in against(seen, 0, 1)], ERROR),
               rate("the same, perf and perf", [p for seen in blocks for p in against(seen, 1, 2)], None)]
    told = [("of all blocks together, novacore and perf", q)]
    for i, who in ((0, "novacore"), (1, "perf")):
        told.append(("the same, %s and what the program says" % who, adjusted(
            [of_truth(sums[i][name], all_of[i], truth[i][name] / truth[i]["all"]) for name in names])))
    for i, (what, values) in enumerate(told):
        count = sum(value < ERROR for value in values)
        results.append(figures.result(what, count, None, len(names), "functions", "that differ; q < 0.05",
                                      None if i == 2 else 0, None if i == 2 else count == 0,
                                      None if not count else "see the table"))
    table = [["function", "it says, %", "novacore, %", "perf, %", "novacore − perf, points, 95 %", "q"]]
    for name, value in zip(names, q):
        a, b = sums[0][name] / all_of[0], sums[1][name] / all_of[1]
        half = 1.96 * math.sqrt(a * (1 - a) / all_of[0] + b * (1 - b) / all_of[1])
        table.append([name] + ["%.2f" % (100 * x) for x in (truth[0][name] / truth[0]["all"], a, b)]
                     + ["%+.2f ± %.2f" % (100 * (a - b), 100 * half), "%.2g" % value])
    return {"results": results, "tables": {"top %d" % TOP: table},
            "notes": ["samples: novacore %d, perf %d and %d" % tuple(all_of)]}
