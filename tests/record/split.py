# SPDX-License-Identifier: MIT
"""split.py NOVACORE PLAIN CHANGED: judges recordings plain1 … and changed1 … of a workload whose split is known.

A test that fails by chance is no test, so nothing here is judged by one interval of 95 %: each bar is one that
binomial samples miss in less than one of a million runs. Samples of a clock need not be binomial: with rounds of
always the same length it falls into step with them (shares varied 1.6 times as much as binomial ones), which is why
the workload's rounds are of different length (0.9 to 1.1 times). How much is measured, printed, and judged in one
direction: were they to vary more, intervals and tests would promise too much."""
import json
import math
import re
import subprocess
import sys

RARE = 1e-6 / 8  # of each of the bars below
PLAIN, CHANGED = {"seventy": 0.7, "twenty": 0.2, "ten": 0.1}, {"seventy": 0.5, "twenty": 0.4, "ten": 0.1}


def most(count, rate):
    """So many of `count` are not exceeded but by a chance of RARE, if each happens with `rate`."""
    tail, k = 0.0, count
    while k >= 0:
        tail += math.comb(count, k) * rate ** k * (1 - rate) ** (count - k)
        if tail > RARE:
            return k
        k -= 1
    return 0


def most_variance(count):
    """The like of a chi-square with `count` degrees, divided by them (Wilson & Hilferty 1931)."""
    z = 5.2  # of 1e-7
    return (1 - 2 / (9 * count) + z * math.sqrt(2 / (9 * count))) ** 3


def hotspots(novacore, recording, level):
    text = subprocess.run([novacore, "hotspots", recording, "--threshold", "0", "--level", str(level), "--format", "json"],
                          check=True, stdout=subprocess.PIPE).stdout
    return json.loads(text)


def recordings(name, count):
    return [f"{name}{i}/recording.nova" for i in range(1, count + 1)]


class Judge:
    def __init__(self):
        self.wrong = []

    def check(self, truth, what):
        print(("-- " if truth else "-- WRONG: ") + what)
        if not truth:
            self.wrong.append(what)


def judge_shares(judge, novacore, files, wanted):
    """With all that interrupts them: interrupts come to each as it has time. What is beside the three (the loop, its
    clock) is not split, told and bounded."""
    wide = {name: 0 for name in wanted}  # misses of intervals that hold but once in 10⁸
    usual = {name: 0 for name in wanted}  # and of those of 95 %
    square, samples, beside = 0.0, 0, 0.0
    for file in files:
        strict, loose = (hotspots(novacore, file, level) for level in (1 - RARE / len(files), 0.95))
        count = strict["samples"]
        samples += count
        for document, misses in ((strict, wide), (loose, usual)):
            functions = {f["name"]: f["total"] for f in document["functions"]}
            shares = {name: functions[name]["share"] for name in wanted}
            own = sum(shares.values())
            for name, share in wanted.items():
                low, high = functions[name]["interval"]
                misses[name] += not low <= share * own <= high
        beside += 1 - own
        square += sum((shares[n] / own - p) ** 2 * count * own / (p * (1 - p)) for n, p in wanted.items()) / len(wanted)
    bar = most(len(files), 0.05)
    variance, allowed = square / len(files), most_variance(len(files))
    print(f"-- {len(files)} recordings, {samples} samples; {100 * beside / len(files):.2f} % are in none of the three")
    judge.check(samples > 200 * len(files), "recordings have more than 200 samples")
    judge.check(beside / len(files) < 0.05, "what the workload does beside is below 5 %")
    judge.check(not any(wide.values()), "intervals that hold but once in a hundred million hold: missed " + str(wide))
    judge.check(all(miss <= bar for miss in usual.values()),
                f"intervals of 95 % miss {usual} times; {bar} of {len(files)} at most")
    judge.check(variance <= allowed, f"shares vary {variance:.2f} times as much as binomial ones; {allowed:.2f} at most")


def difference(novacore, before, after):
    """What the picture says of each function, from its own words."""
    done = subprocess.run([novacore, "flame", "--diff", before, after, "--output", "difference.svg"],
                          check=True, stderr=subprocess.PIPE, text=True)
    marks = {}
    with open("difference.svg", encoding="utf-8") as picture:
        for name, mark in re.findall(r"<title>([^\n<]*)\n[^<]*?: ([a-z ,]+?)(?:, q [^<]*)?</title>", picture.read()):
            marks.setdefault(name.split(" ")[0].split(",")[0], []).append(mark)
    if "paths tested" not in done.stderr or "seventy" not in marks:
        sys.exit("nothing was compared: " + done.stderr)
    return marks


def is_marked(marks):
    return [name for name, all_of in marks.items() if set(all_of) & {"more", "less", "new", "vanished"}]


def judge_differences(judge, novacore, plain, changed):
    falsely, elsewhere, found = 0, 0, 0
    pairs = list(zip(plain[::2], plain[1::2]))
    for before, after in pairs:
        falsely += bool(is_marked(difference(novacore, before, after)))
    bar = most(len(pairs), 0.05)
    judge.check(falsely <= bar, f"without a change {falsely} of {len(pairs)} pairs mark anything; {bar} at most")
    for before, after in zip(plain, changed):
        marks = difference(novacore, before, after)
        # in the lane of what vanished a caller that is still there stands again
        found += set(marks["seventy"]) - {"still there"} == {"less"} and set(marks["twenty"]) - {"still there"} == {"more"}
        elsewhere += bool(set(is_marked(marks)) - {"seventy", "twenty"})
    bar = most(len(changed), 0.05)
    judge.check(elsewhere <= bar, f"of what did not change {elsewhere} of {len(changed)} mark anything; {bar} at most")
    # of some 400 samples each 20 points are six standard errors: one in a hundred is more than generous
    bar = len(changed) - most(len(changed), 0.01)
    judge.check(found >= bar, f"70 to 50 and 20 to 40 % are marked in {found} of {len(changed)} pairs; {bar} at least")


def main():
    novacore, plain, changed = sys.argv[1], recordings("plain", int(sys.argv[2])), recordings("changed", int(sys.argv[3]))
    judge = Judge()
    judge_shares(judge, novacore, plain, PLAIN)
    judge_shares(judge, novacore, changed, CHANGED)
    judge_differences(judge, novacore, plain, changed)
    blind = Judge()  # who takes one for the other must be told so
    print("-- and the other way round, which has to be wrong:")
    judge_shares(blind, novacore, changed, PLAIN)
    judge.check(len(blind.wrong) >= 2, "the changed workload is not taken for the other")
    if judge.wrong:
        sys.exit("\n".join(["wrong:"] + judge.wrong))


if __name__ == "__main__":
    main()
