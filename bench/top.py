# SPDX-License-Identifier: MIT
"""Whether novacore and perf see the same: the top 20 functions of a program that says itself what each had, sampled by
novacore and, at the same time, twice by perf. What differs between the two of perf is its sampling error."""
import collections
import math
import os
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


def sampled(options, seconds, seed):
    """CPU time of each function, and samples by novacore, perf, and perf again."""
    with tempfile.TemporaryDirectory(prefix="novacore-bench-") as place:
        program = subprocess.Popen([os.path.join(options.build, "bench/top"), str(seconds), str(seed)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pid = str(program.pid)
        data = [os.path.join(place, "perf.%d" % i) for i in range(2)]
        profilers = [start(["perf", "record", "-F", "99", "-g", "-p", pid, "-o", path]) for path in data]
        profilers.append(start([os.path.join(options.build, "novacore"), "record", "--pid", pid, "--duration", "1h",
                                "--output", os.path.join(place, "recording")]))
        time.sleep(1)  # who is late misses the beginning, which is like the rest
        said, _ = program.communicate("\n")
        if program.returncode or any(profiler.wait() for profiler in profilers):
            raise SystemExit("bench top: the program or a profiler failed")
        truth = {name: int(ns) for name, ns in (line.split() for line in said.splitlines())}
        seen = [of_novacore(os.path.join(place, "recording/cpu.folded"), truth)]
        return truth, seen + [of_perf(path, truth) for path in data]


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
    return figures.result(what, value, interval, len(tests), "1", "a test for each function of each pair", bar, met,
                          None if met is not False else "more than chance explains")


def measure(options):
    if not shutil.which("perf") or os.geteuid():
        raise SystemExit("bench top: it compares with perf (linux-perf), as root")
    truth, sums = collections.Counter(), [collections.Counter() for _ in range(3)]
    pairs = []
    for seed in range(3 if options.quick else 40):
        had, seen = sampled(options, 3 if options.quick else 8, seed + 1)
        truth.update(had)
        pairs.append(seen)
        for total, one in zip(sums, seen):
            total.update(one)
    names = [name for name, _ in truth.most_common() if name != "all"][:TOP]
    all_of = [sum(counts.values()) for counts in sums]

    def against(pair, one, two):
        return [equal_shares(pair[one][name], sum(pair[one].values()), pair[two][name], sum(pair[two].values()))
                for name in names]
    q = adjusted(against(sums, 0, 1))
    results = [rate("functions of a pair that differ at 5 %, novacore and perf",
                    [p for pair in pairs for p in against(pair, 0, 1)], ERROR),
               rate("the same, perf and perf", [p for pair in pairs for p in against(pair, 1, 2)], None)]
    told = [("of all pairs together, novacore and perf", q)]
    for i, who in ((0, "novacore"), (1, "perf")):
        told.append(("the same, %s and what the program says" % who, adjusted(
            [of_truth(sums[i][name], all_of[i], truth[name] / truth["all"]) for name in names])))
    for i, (what, values) in enumerate(told):
        count = sum(value < ERROR for value in values)
        results.append(figures.result(what, count, None, len(names), "functions", "that differ; q < 0.05",
                                      None if i == 2 else 0, None if i == 2 else count == 0,
                                      None if not count else "see the table"))
    table = [["function", "it says, %", "novacore, %", "perf, %", "novacore − perf, points, 95 %", "q"]]
    for name, value in zip(names, q):
        a, b = sums[0][name] / all_of[0], sums[1][name] / all_of[1]
        half = 1.96 * math.sqrt(a * (1 - a) / all_of[0] + b * (1 - b) / all_of[1])
        table.append([name] + ["%.2f" % (100 * x) for x in (truth[name] / truth["all"], a, b)]
                     + ["%+.2f ± %.2f" % (100 * (a - b), 100 * half), "%.2g" % value])
    return {"results": results, "tables": {"top %d" % TOP: table},
            "notes": ["samples: novacore %d, perf %d and %d" % tuple(all_of)]}
