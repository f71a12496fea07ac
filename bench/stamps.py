# SPDX-License-Identifier: MIT
"""The kvm driver's event stamps against an observer that knows nothing of libvirt."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

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


def offset_ns():
    """CLOCK_REALTIME minus CLOCK_MONOTONIC, from the tightest of many pairs of readings."""
    def once():
        before, real = time.monotonic_ns(), time.time_ns()
        after = time.monotonic_ns()
        return after - before, real - (before + after) // 2
    return min(once() for _ in range(1000))[1]


def run(options, counts, *parameters):
    done = subprocess.run([os.path.join(options.build, "bench/stamps")] + counts + [SPIN]
                          + list(parameters), stdout=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line]
    if done.returncode or not any(line.startswith("floor") for line in lines):
        raise SystemExit("bench: stamps ended with %d" % done.returncode)
    return lines


def traced(options, counts):
    """The same with a QEMU that also logs, by a clock of its own reading, when it tells its devices
    that the VM runs or stops: between the stamp and the beat, so it says whose the distance is."""
    place = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    os.chmod(place, 0o777)
    emulator = place + "/qemu-system-x86_64"
    with open(emulator, "w", encoding="utf-8") as out:
        out.write('#!/bin/sh\nexec qemu-system-x86_64 "$@" -D %s/log.%%d -trace vm_state_notify\n'
                  % place)
    os.chmod(emulator, 0o755)
    logged = {"0": [], "1": []}
    try:
        lines = run(options, counts, "emulator=" + emulator)
        offset = offset_ns()
        for path in glob.glob(place + "/log.*"):
            with open(path, encoding="utf-8", errors="replace") as text:
                for found in re.findall(r"@(\d+)\.(\d+):vm_state_notify running (\d)", text.read()):
                    logged[found[2]].append(int(found[0]) * 10**9 + int(found[1]) * 1000 - offset)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    away = {"paused": [], "resumed": [], "restored": []}
    for line in lines:
        words = line.split()
        if words[0] in away:
            stamp = int(words[1])
            near = min(logged["0" if words[0] == "paused" else "1"],
                       key=lambda at: abs(at - stamp), default=None)
            if near is not None:
                away[words[0]].append((near - stamp) / 1e9)
    return away


def measure(options):
    counts = ["20", "5", "2"] if options.quick else ["400", "100", "20"]
    lines = run(options, counts)
    away = traced(options, ["20", "5", "1"] if options.quick else ["200", "50", "1"])
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
            own = figures.quantile([abs(value) for value in away[kind]], 0.5)[0]
            reason = ("QEMU's own log has the change %.0f µs (median of %d) from the stamp; the rest "
                      "of the distance is between QEMU's event and its vCPU thread, which a "
                      "beating guest cannot tell apart from it; a sleeping thread takes %.0f µs to "
                      "go on, beats are %.1f µs apart" % (
                          own * 1e6, len(away[kind]), figures.median(wakes) * 1e6,
                          int(floor[2]) / 1e3))
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
        if away[kind]:
            size = [abs(value) for value in away[kind]]
            half, interval = figures.quantile(size, 0.5)
            name = title.split(" stamp")[0].split("− ")[-1].split(" ")[-1]
            results.append(figures.result(
                "%s stamp, distance from QEMU's log, median" % name, half, interval, len(size),
                "s", "order statistics; another QEMU, with -trace vm_state_notify"))
            rows.append(["QEMU's log − %s stamp" % name, str(len(size))] + [
                value * 1e6 for value in
                (min(away[kind]), figures.quantile(away[kind], 0.05)[0],
                 figures.median(away[kind]), figures.quantile(away[kind], 0.95)[0],
                 figures.quantile(away[kind], 0.99)[0], max(away[kind]))])
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
