# SPDX-License-Identifier: MIT
"""How fast recordings of others are folded: perf script text and folded stacks of 1 MB to 1 GB, on one core,
with the memory that it takes. The same bytes are read by `wc -l` in turn."""
import os
import random
import subprocess
import tempfile
import time

import figures

BAR_PERF, BAR_FOLDED = 400.0, 150.0
MIB = 1 << 20


def stacks(rng, count):
    """Stacks as programs have them: few beginnings, many ends; depth 5 to 60."""
    names = ["%s_%s_%d" % (rng.choice(["alloc", "read", "parse", "hash", "lock", "page", "net", "do"]),
                           rng.choice(["entry", "slow", "path", "one", "all", "locked"]), i) for i in range(2000)]
    trunks = [[rng.choice(names) for _ in range(rng.randint(3, 30))] for _ in range(40)]
    return [rng.choice(trunks) + [rng.choice(names) for _ in range(rng.randint(2, 30))] for _ in range(count)]


def perf_sample(rng, stack, addresses):
    lines = ["worker %d/%d [%03d] %d.%06d:   10101010 cpu-clock:pppH: " % (
        41, 41 + rng.randint(0, 7), rng.randint(0, 7), rng.randint(1, 9999), rng.randint(0, 999999))]
    for name in reversed(stack):
        address, offset = addresses.setdefault(name, [(rng.getrandbits(40), rng.randint(1, 900)) for _ in range(3)])[
            rng.randint(0, 2)]
        lines.append("\t%16x %s+0x%x (/usr/lib/x86_64-linux-gnu/libwork.so.1)" % (address, name, offset))
    return "\n".join(lines) + "\n\n"


def write(path, size, piece, end):
    """`piece` over and over until the file has about `size` bytes; cut where `end` is."""
    with open(path, "w", encoding="ascii") as out:
        for _ in range(size // len(piece)):
            out.write(piece)
        out.write(piece[:piece.rfind(end, 0, size % len(piece) + 1) + len(end)])
    return os.path.getsize(path)


def read_by(command):
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - begin, done.stdout.split()


def measure(options):
    program = os.path.join(options.build, "bench/fold")
    rng = random.Random(1)
    all_stacks, addresses = stacks(rng, 4000), {}
    texts = {"perf script": "".join(perf_sample(rng, rng.choice(all_stacks), addresses) for _ in range(4000)),
             "folded": "".join(";".join(s) + " %d\n" % rng.randint(1, 99) for s in sorted(all_stacks))}
    bars = {"perf script": BAR_PERF, "folded": BAR_FOLDED}
    sizes = [1, 10] if options.quick else [1, 10, 100, 1000]
    results, memory = [], [["file", "MB", "stacks take, MiB", "distinct stacks' nodes"]]
    with tempfile.TemporaryDirectory(prefix="novacore-bench-") as place:
        for kind, text in texts.items():
            for megabytes in sizes:
                path = os.path.join(place, "file")
                size = write(path, megabytes * 1000000, text, "\n\n" if kind == "perf script" else "\n")
                rates, whole = [], []
                for _ in range(6 if options.quick else 21 if megabytes < 1000 else 9):
                    took, (read_ns, draw_ns, taken, nodes) = read_by([program, path])
                    floor, _ = read_by(["wc", "-l", path])
                    spent = int(read_ns) + (int(draw_ns) if kind == "folded" else 0)
                    rates.append(size / MIB / (spent / 1e9))
                    whole.append(took / floor)
                value, interval = figures.quantile(rates, 0.5)
                bar = bars[kind]
                met = None if interval is None else True if interval[0] >= bar else False if interval[1] < bar else None
                results.append(figures.result(
                    "%s, %g MB" % (kind, round(size / 1e6)), value, interval, len(rates), "MiB/s",
                    "CPU time of reading" + (" and laying out" if kind == "folded" else ""), bar, met,
                    None if met is not False else "nearly every stack is a new one, for which the tables grow", at_least=True))
                value, interval = figures.quantile(whole, 0.5)
                results.append(figures.result("%s, %g MB, wall time over wc -l" % (kind, round(size / 1e6)), value,
                                              interval, len(whole), "1", "in turn, the process's start included"))
                memory.append([kind, str(round(size / 1e6)), "%.1f" % (int(taken) / MIB), nodes])
    return {"results": results, "tables": {"memory": memory}}
