# SPDX-License-Identifier: MIT
"""Change points: false alarms over all looks, power, place and speed on simulated series; agreement
with people on six real ones, beside plain binary segmentation."""
import json
import math
import os
import subprocess

import figures

NOISES = ["normal", "2 % spikes", "2 % spikes, two-sided", "Student's t, 3", "Laplace", "uniform",
          "lognormal", "exponential", "rounded"]  # tests/unit/stats/series.h
MARGIN = 5  # of the paper, in points
BAR_ALARMS, BAR_MISSED = 0.01, 0.10


def ask(options, *words):
    program = os.path.join(options.build, "bench/change_rates")
    done = subprocess.run([program] + [str(word) for word in words], check=True,
                          stdout=subprocess.PIPE, text=True)
    return done.stdout.split()


def rate(what, hits, n, bar, method):
    value, interval = figures.share(hits, n)
    met = None
    if bar is not None and interval[1] <= bar:
        met = True
    elif bar is not None and interval[0] > bar:
        met = False
    return figures.result(what, value, interval, n, "1", method, bar, met)


# --- simulated ----------------------------------------------------------------------------------

def alarms(options, noise, phi, points, sensitivity, n, bar):
    hits, n = map(int, ask(options, "alarms", NOISES.index(noise), phi, points, sensitivity, n))
    name = "false alarms, %s, autocorrelation %g" % (noise, phi)
    if points != 100:
        name += ", %d points" % points
    if sensitivity != 2:
        name += ", sensitivity " + ["low", "default", "high"][sensitivity - 1]
    return rate(name, hits, n, bar, "a change at any look at 20 … %d points" % points)


def power(options, before, n, bar):
    hits, n = map(int, ask(options, "power", before, 10, 0.1, n))
    return rate("missed, 10 %% step at CV 5 %%, %d points before" % before, n - hits, n, bar,
                "no change at any look at 1 … 10 points after it")


def place(options, before, after, n):
    found, near, covered, n = map(int, ask(options, "place", before, after, 0.1, n))
    where = "%d points before, %d after" % (before, after)
    return [rate("found, but not within 2, " + where, found - near, found, BAR_MISSED, "one look"),
            rate("truth outside of low … high, " + where, found - covered, found, 0.05, "one look")]


def speed(options, points):
    times = [float(ask(options, "speed", points)[1]) for _ in range(11)]
    value, interval = figures.quantile(times, 0.5)
    return figures.result("time, %d points" % points, value, interval, len(times), "s", "median")


# --- real ---------------------------------------------------------------------------------------

def segments(changes, n):
    """Sets of indices between the changes, as (start, end)."""
    edges = [0] + sorted(set(changes) - {0}) + [n]
    return list(zip(edges, edges[1:]))


def cover(annotations, changes, n):
    """Mean over annotators of the best Jaccard index of each of their segments, by its length."""
    def jaccard(a, b):
        both = max(0, min(a[1], b[1]) - max(a[0], b[0]))
        return both / (a[1] - a[0] + b[1] - b[0] - both)
    ours = segments(changes, n)
    return sum(sum((a[1] - a[0]) * max(jaccard(a, b) for b in ours) for a in segments(theirs, n)) / n
               for theirs in annotations) / len(annotations)


def hits(truths, changes):
    """Truths with a change within the margin, each change counted for one."""
    left, count = sorted(changes), 0
    for truth in sorted(truths):
        near = [change for change in left if abs(change - truth) <= MARGIN]
        if near:
            left.remove(min(near, key=lambda change: abs(change - truth)))
            count += 1
    return count


def f1(annotations, changes):
    """Precision against all annotators together, recall the mean over them; the beginning counts
    as a change, so that neither is ever 0 / 0."""
    changes = set(changes) | {0}
    truths = [set(theirs) | {0} for theirs in annotations]
    precision = hits(set().union(*truths), changes) / len(changes)
    recall = sum(hits(theirs, changes) / len(theirs) for theirs in truths) / len(truths)
    return 2 * precision * recall / (precision + recall)


def binary_segmentation(values, most=5):
    """Squared error about means of the series scaled to variance 1, penalty 3 ln n, the best split
    first, at most `most`."""
    n, mean = len(values), sum(values) / len(values)
    scale = math.sqrt(sum((v - mean) ** 2 for v in values) / n) or 1
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + (value - mean) / scale)

    def best(start, end):
        def gain(k):
            left, right, whole = sums[k] - sums[start], sums[end] - sums[k], sums[end] - sums[start]
            return left ** 2 / (k - start) + right ** 2 / (end - k) - whole ** 2 / (end - start)
        return max(((gain(k), k) for k in range(start + 1, end)), default=(0, start))
    changes = []
    while len(changes) < most:
        gain, k = max(best(start, end) for start, end in segments(changes, n))
        if gain <= 3 * math.log(n):
            break
        changes.append(k)
    return sorted(changes)


def agreement(options):
    folder = os.path.join(options.tree, "bench/tcpd")
    with open(os.path.join(folder, "annotations.json"), encoding="utf-8") as file:
        annotations = json.load(file)
    rows, sums = [["series", "changes", "F1", "cover", "binary segmentation", "F1", "cover",
                   "none", "F1", "cover"]], [0.0] * 6
    for name, by_person in sorted(annotations.items()):
        path = os.path.join(folder, name + ".csv")
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        column = lines[0].split(",")[1]  # the first, as in the paper's data
        done = subprocess.run([os.path.join(options.build, "novacore"), "analyze", path, "--column",
                               column, "--format", "json"], check=True, stdout=subprocess.PIPE,
                              text=True)
        ours = [change["index"] for change in json.loads(done.stdout)["change_points"]]
        values = [float(line.split(",")[1]) for line in lines[1:]]
        row, people = [name], list(by_person.values())
        for i, changes in enumerate((ours, binary_segmentation(values), [])):
            scores = f1(people, changes), cover(people, changes, len(values))
            row += [" ".join(map(str, changes)) or "–"] + ["%.3f" % score for score in scores]
            sums[2 * i] += scores[0]
            sums[2 * i + 1] += scores[1]
        rows.append(row)
    means = ["%.3f" % (total / len(annotations)) for total in sums]
    rows.append(["mean", ""] + means[:2] + [""] + means[2:4] + [""] + means[4:])
    return rows


def measure(options):
    n, few = (200, 100) if options.quick else (10000, 2000)
    results = [alarms(options, "normal", 0, 100, 2, n, BAR_ALARMS),
               alarms(options, "2 % spikes", 0, 100, 2, n, BAR_ALARMS),
               alarms(options, "normal", 0.5, 100, 2, n, BAR_ALARMS)]
    results += [alarms(options, "normal", phi, 100, 2, n, None) for phi in (0.2, 0.35, 0.7, 0.9)]
    results += [alarms(options, "normal", phi, 100, level, n, bar)
                for level, bar in ((1, 0.001), (3, 0.05)) for phi in (0, 0.5)]
    results += [alarms(options, noise, phi, 100, 2, few, None)
                for noise in NOISES[1:] for phi in (0, 0.5) if noise != NOISES[1] or phi]
    results += [alarms(options, "normal", phi, 1000, 2, few // 4, None) for phi in (0, 0.5)]
    results += [power(options, 90, n, BAR_MISSED)]
    results += [power(options, before, few, None) for before in (150, 70, 50, 30)]
    for before, after in ((30, 30), (50, 50), (70, 30)):
        results += place(options, before, after, few)
    results += [speed(options, points) for points in (100, 1000, 10000, 100000, 1000000)]
    return {"results": results,
            "tables": {"against people, margin %d (van den Burg & Williams 2020)" % MARGIN:
                       agreement(options)},
            "notes": ["where 30 or 50 points are before a step, little is known of the noise: of an "
                      "autocorrelation of 0.5 so few are expected to look alike"]}
