# SPDX-License-Identifier: MIT
"""What recording costs: the slow-down of a program that computes and of one that only calls the kernel, while the
whole host is sampled by novacore or by perf, and the CPU time and memory of each, until functions have names."""
import math
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

import figures

BAR_SLOWER = 1.005  # at 99 Hz
WORK = {"compute": 1300000, "calls": 4000000}  # about a second


def victim(options, kind):
    """Its wall time and its CPU time."""
    done = subprocess.run([os.path.join(options.build, "bench/victim"), kind, str(WORK[kind])],
                          stdout=subprocess.PIPE, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


class Ended(Exception):
    """A profiler ended otherwise than it should; its wait status."""


def spent(pid):
    """Waits; CPU seconds and largest resident set of a process and those that it waited for (it begins with this one's,
    which is below what either profiler has)."""
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGINT):
        raise Ended(os.waitstatus_to_exitcode(status))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def start(command):
    with open(os.devnull, "w") as nothing:
        return subprocess.Popen(command, stdout=nothing, stderr=nothing, stdin=subprocess.DEVNULL)


def sampled(options, kind, who, frequency, place):
    """The victim's times while `who` samples all; then what `who` took."""
    if who == "novacore":
        command = [os.path.join(options.build, "novacore"), "record", "--all", "--duration", "1h", "--freq",
                   str(frequency), "--output", os.path.join(place, "recording")]
    else:
        command = ["perf", "record", "-F", str(frequency), "-a", "-g", "-o", os.path.join(place, "perf.data")]
    profiler = start(command)
    time.sleep(1)  # it looks around, and calibrates
    took = victim(options, kind)
    profiler.send_signal(signal.SIGINT)
    cpu, memory = spent(profiler.pid)
    if who == "perf":
        more, other = spent(start(["perf", "script", "-i", os.path.join(place, "perf.data")]).pid)
        cpu, memory = cpu + more, max(memory, other)
    return took, cpu, memory


def measure(options):
    if not shutil.which("perf") or os.geteuid():
        raise SystemExit("bench record: it compares with perf (linux-perf), as root")
    rng = random.Random(1)
    blocks = 6 if options.quick else 30
    sides = [(who, frequency) for who in ("novacore", "perf") for frequency in (99, 999)]
    clocks, again = ("wall time", "CPU time"), 0
    slower = {(kind, side, clock): [] for kind in WORK for side in sides for clock in clocks}
    cpu, memory = {side: [] for side in sides}, {side: [] for side in sides}
    for _ in range(blocks):
        for kind in WORK:
            alone, times = None, {}
            for side in rng.sample([None] + sides, len(sides) + 1):
                if side is None:
                    alone = victim(options, kind)
                    continue
                while side not in times:
                    try:
                        with tempfile.TemporaryDirectory(prefix="novacore-bench-") as place:
                            times[side], used, resident = sampled(options, kind, *side, place)
                    except Ended as ended:
                        again += 1  # perf of Debian 12 smashes its stack now and then
                        if side[0] == "novacore" or again > blocks:
                            raise SystemExit("bench record: %s failed: %s" % (side[0], ended))
                cpu[side].append(used)
                memory[side].append(resident)
            for side, took in times.items():
                for i, clock in enumerate(clocks):
                    slower[kind, side, clock].append(math.log(took[i] / alone[i]))
    results = []
    for (kind, (who, frequency), clock), logs in slower.items():
        value, interval = figures.ratio(logs)
        bar = BAR_SLOWER if (who, frequency, clock) == ("novacore", 99, "wall time") else None
        met = None if not interval or not bar else True if interval[1] <= bar else False if interval[0] > bar else None
        results.append(figures.result("%s while %s samples at %d Hz, over alone, %s" % (kind, who, frequency, clock),
                                      value, interval, len(logs), "1", "in blocks of random order", bar, met,
                                      None if met is not False else "interrupts of the clock cost much on this machine"))
    for frequency in (99, 999):
        logs = [math.log(a / b) for a, b in zip(cpu["novacore", frequency], cpu["perf", frequency])]
        value, interval = figures.ratio(logs)
        met = None if not interval else True if interval[1] <= 1 else False if interval[0] > 1 else None
        results.append(figures.result("CPU time of novacore over perf record and perf script, %d Hz" % frequency, value,
                                      interval, len(logs), "1", "until functions have names", 1.0, met))
    table = [["profiler", "Hz", "CPU, s", "resident, MiB"]]
    for who, frequency in sides:
        table.append([who, str(frequency), "%.3f" % figures.median(cpu[who, frequency]),
                      "%.1f" % (figures.median(memory[who, frequency]) / (1 << 20))])
    notes = ["perf failed %d times, and was run again" % again] if again else []
    return {"results": results, "tables": {"what each takes": table}, "notes": notes}
