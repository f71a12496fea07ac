# SPDX-License-Identifier: MIT
"""How fast flame graphs are drawn from folded stacks of 1 MB to 1 GB, reading them included, on one core. Nearly all
stacks are distinct: what repeats would be read and not drawn. And what they take, which follows distinct stacks."""
import os
import random
import subprocess
import tempfile

import figures

BAR = 150.0
MIB = 1 << 20
PIECE = 100_000_000  # bytes that are made at once


def made(size, seed, root):
    """A program of a few thousand functions, with names as long as those of the kernel and of QEMU, 26 bytes: from each,
    six others are called, some of them often."""
    rng = random.Random(1)
    words = ["alloc", "read", "parse", "hash", "lock", "page", "net", "queue", "block", "virtio", "vcpu", "slow", "path"]
    names = ["_".join(rng.choices(words, k=rng.randint(3, 6))) + "_%d" % i for i in range(3000)]
    rng, counts, written = random.Random(seed), {}, 0
    while written < size:
        at, stack = 0, [root]
        for depth in range(5 + min(55, int(rng.expovariate(1 / 12)))):
            at = (at * 31 + min(int(rng.expovariate(0.9)), 6) + depth + 1) % 100_000_007
            stack.append(names[at % 3000])
        stack = ";".join(stack)
        if stack not in counts:
            written += len(stack) + 3
        counts[stack] = counts.get(stack, 0) + 1
    return counts


def write(path, size, seed):
    """In pieces that fit into memory, each below another root; they and the whole are sorted."""
    with open(path, "w", encoding="ascii") as out:
        for i in range(-(-size // PIECE)):
            counts = made(min(size, PIECE), seed + 10 * i, "main" if size <= PIECE else "main_%03d" % i)
            out.writelines("%s %d\n" % one for one in sorted(counts.items()))
    return os.path.getsize(path)


def why(drawing, whole):
    if whole / drawing > 0.4:
        return "of so few samples each box is wide enough to be drawn, and reading takes about as long as that"
    return "nearly all of it is reading: the stacks are all new, and the tables of so many outgrow the caches"


def measure(options):
    program = os.path.join(options.build, "bench/flame")
    results, boxes = [], [["drawing", "MB", "boxes", "nodes", "largest resident set, MiB", "bytes a node"]]
    with tempfile.TemporaryDirectory(prefix="novacore-bench-") as place:
        for megabytes in [1, 10] if options.quick else [1, 10, 100, 1000]:
            path, before = os.path.join(place, "file"), os.path.join(place, "before")
            size = write(path, megabytes * 1000000, 1)
            commands = [("SVG", [program, path, "svg"]), ("HTML", [program, path, "html"])]
            if megabytes < 1000:  # two of them, and their sum, would take more than the limit
                write(before, megabytes * 1000000, 2)
                commands.append(("difference, SVG", [program, path, "svg", before]))
            for kind, command in commands:
                rates, drawing = [], []
                for _ in range(6 if options.quick else 21 if megabytes < 100 else 9):
                    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                    read_ns, made_ns, drawn_ns, count, nodes, resident = (int(word) for word in done.stdout.split())
                    rates.append(size / MIB / ((read_ns + made_ns + drawn_ns) / 1e9))
                    drawing.append(size / MIB / ((made_ns + drawn_ns) / 1e9))
                bar = BAR if kind == "SVG" else None
                value, interval = figures.quantile(rates, 0.5)
                met = None
                if bar is not None and interval is not None:
                    met = True if interval[0] >= bar else False if interval[1] < bar else None
                results.append(figures.result(
                    "%s, %d MB" % (kind, megabytes), value, interval, len(rates), "MiB/s",
                    "CPU time of reading, laying out and drawing", bar, met,
                    None if met is not False else why(figures.median(drawing), value), at_least=True))
                value, interval = figures.quantile(drawing, 0.5)
                results.append(figures.result("%s, %d MB, without reading" % (kind, megabytes), value, interval,
                                              len(drawing), "MiB/s", "of the text that was read before"))
                boxes.append([kind, str(megabytes), "{:,}".format(count), "{:,}".format(nodes),
                              "%.1f" % (resident / MIB), "%.0f" % (resident / nodes)])
    return {"results": results, "tables": {"boxes": boxes}}
