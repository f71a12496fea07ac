# SPDX-License-Identifier: MIT
"""The kvm driver's event stamps against an observer that knows nothing of libvirt."""
import os
import subprocess

import figures

BAR_S = 100e-6
SPIN = "3000"  # of the guest between two beats


def differences(lines):
    """Seconds between a stamp and the beat beside it: what the stamp can be wrong by, at most."""
    found = {"paused": [], "resumed": [], "restored": [], "start": []}
    for line in lines:
        words = line.split()
        if words[0] not in found:
            continue
        stamp, last, first = (int(word) for word in words[1:4])
        found[words[0]].append(((stamp - last) if words[0] == "paused" else (first - stamp)) / 1e9)
    return found


def measure(options):
    counts = ["20", "5", "2"] if options.quick else ["400", "100", "20"]
    done = subprocess.run([os.path.join(options.build, "bench/stamps")] + counts + [SPIN],
                          stdout=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line]
    if done.returncode or not any(line.startswith("floor") for line in lines):
        raise SystemExit("bench: stamps ended with %d" % done.returncode)
    floor = next(line.split() for line in lines if line.startswith("floor"))
    rate = next(float(line.split()[1]) for line in lines if line.startswith("rate"))
    unmatched = lines.count("unmatched")
    wakes = [int(line.split()[1]) / 1e9 for line in lines if line.startswith("wake")]
    results, rows = [], [["distribution, µs", "n", "min", "p5", "p50", "p95", "p99", "max"]]
    for kind, title in (("paused", "PAUSED stamp − last beat before"),
                        ("resumed", "first beat after − RESUMED stamp"),
                        ("restored", "first beat after a restore − RUNNING stamp")):
        values = found = differences(lines)[kind]
        if not values:
            continue
        size = [abs(value) for value in values]
        half, interval = figures.quantile(size, 0.5)
        hits, hits_interval = figures.share(sum(value <= BAR_S for value in size), len(size))
        reason = None
        if not interval or interval[1] > BAR_S:
            reason = ("the distance is stamp error and QEMU's own work between the stamp and the "
                      "beat: a thread that slept as long as the vCPU's takes %.0f µs to go on here "
                      "(median of %d, p95 %.0f µs), and beats are %.1f µs apart" % (
                          figures.median(wakes) * 1e6, len(wakes),
                          figures.quantile(wakes, 0.95)[0] * 1e6, int(floor[2]) / 1e3))
        results.append(figures.result(title + ", median", half, interval, len(size), "s",
                                      "order statistics", BAR_S,
                                      bool(interval) and interval[1] <= BAR_S, reason))
        most, most_interval = figures.quantile(size, 0.95)
        results.append(figures.result(title + ", p95", most, most_interval, len(size), "s",
                                      "order statistics"))
        results.append(figures.result(title + ", share within 100 µs", hits, hits_interval,
                                      len(size), "1", "Clopper-Pearson"))
        rows.append([title] + [str(len(found))] + [
            value * 1e6 for value in
            (min(found), figures.quantile(found, 0.05)[0], figures.median(found),
             figures.quantile(found, 0.95)[0], figures.quantile(found, 0.99)[0], max(found))])
    rows.append(["floor: beat to beat, undisturbed", floor[1], None, None] +
                [int(x) / 1e3 for x in (floor[2], floor[3], floor[4], floor[6])])
    starts = differences(lines)["start"]
    rows.append(["floor: a sleeping thread goes on", str(len(wakes))] + [
        value * 1e6 for value in
        (min(wakes), figures.quantile(wakes, 0.05)[0], figures.median(wakes),
         figures.quantile(wakes, 0.95)[0], figures.quantile(wakes, 0.99)[0], max(wakes))])
    notes = ["the guest beats %.0f times a second; %s datagrams lost; %d events without their gap"
             % (rate, floor[7], unmatched)]
    if starts:
        notes.append("start: the first beat comes %.1f ms (median of %d) after RUNNING, firmware "
                     "and boot sector included" % (figures.median(starts) * 1e3, len(starts)))
    return {"results": results, "tables": {"signed": rows}, "notes": notes,
            "details": {"lines": lines, "beats_per_s": rate, "unmatched": unmatched}}
