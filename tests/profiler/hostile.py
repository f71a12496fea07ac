# SPDX-License-Identifier: MIT
"""hostile.py NOVACORE: recordings that are as large, as deep and as wrong as they can be. Each is read to its end or
refused in a sentence, in bounded memory; nobody crashes. Files are made where they are read, in pieces."""
import gzip
import os
import random
import resource
import subprocess
import sys
import threading

NOVACORE = sys.argv[1]
MIB = 1 << 20
ADDRESSES = 6 << 30  # of the process: so nothing swallows the machine if a bound is missing
LIMIT_MIB = 1024  # what stacks may take, as the manual says
wrong = []


def run(arguments, pieces=None):
    """Exit code, what it said, and the most memory that it had, in MiB."""
    def bound():
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    with open("said", "w+b") as said, open("out", "w+b") as out:
        child = subprocess.Popen([NOVACORE, *arguments], stdin=subprocess.PIPE, stdout=out, stderr=said, preexec_fn=bound)

        def feed():
            try:
                for piece in pieces or ():
                    child.stdin.write(piece)
                child.stdin.close()
            except BrokenPipeError:
                pass

        feeder = threading.Thread(target=feed)
        feeder.start()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        feeder.join()
        said.seek(0)
        out.seek(max(0, out.seek(0, os.SEEK_END) - 400))  # notes are at the end
        text = (said.read() + out.read()).decode("utf-8", "replace")
        return child.returncode, text, usage.ru_maxrss / 1024


def judge(name, codes, words, most_mib, pieces, command=("hotspots", "-")):
    code, said, memory = run(list(command), pieces() if callable(pieces) else pieces)
    print(f"-- {name}: {code}, {memory:.0f} MiB{': ' + said.strip()[:120] if code else ''}", flush=True)
    if code not in codes:
        wrong.append(f"{name}: exit code {code}, not {codes}: {said[-300:]}")
    if words and words not in said:
        wrong.append(f'{name}: it does not say "{words}": {said[-300:]}')
    if memory > most_mib:
        wrong.append(f"{name}: it takes {memory:.0f} MiB, more than {most_mib}")


# --- pprof, by hand: what no library would write -----------------------------------------------------------------------

def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, data):
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


TEXTS = b"".join(field(6, text) for text in (b"", b"samples", b"count", b"f", b"/lib/f.so"))
HEAD = field(1, field(1, 1) + field(2, 2)) + TEXTS
FUNCTION = field(5, field(1, 1) + field(2, 3))


def sample(locations, value=b"\x01"):
    return field(2, field(1, locations) + field(2, value))


def location(lines=1, number=1):
    return field(4, field(1, number) + field(4, field(1, 1)) * lines)


def cut(whole, name, every):
    """Truncated at each byte (or every so many): never a crash, never a success without its end."""
    for length in range(0, len(whole), every):
        code, said, _ = run(["hotspots", "-"], [whole[:length]])
        if code != 2 or not said.strip():
            wrong.append(f"{name} cut at {length}: {code} {said!r}")


def spoil(whole, name, times, command=("hotspots", "-")):
    """Some bytes are others: read or refused."""
    draw = random.Random(name)
    seen = {}
    for _ in range(times):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 8, 64))):
            data[draw.randrange(len(data))] = draw.choice((0, 1, 0x7f, 0x80, 0xff, draw.randrange(256)))
        code, said, memory = run(list(command), [bytes(data)])
        seen[code] = seen.get(code, 0) + 1
        if code not in (0, 2) or (code and not said.strip()) or memory > LIMIT_MIB:
            wrong.append(f"{name} spoiled: {code} {memory:.0f} MiB {said[-200:]!r}")
            break
    print(f"-- {name}: spoiled {times} times: {seen}", flush=True)


PERF = b"".join(b"worker  41/42 [001] %d.000000:   10101010 cpu-clock:pppH: \n\tffffffff81000010 f%d+0x10 (/usr/bin/worker)\n"
                b"\t            5000 main+0x1 (/usr/bin/worker)\n\n" % (i, i % 7) for i in range(30))
FOLDED = b"".join(b"main;work_%d;memcpy_[k] %d\n" % (i % 7, i + 1) for i in range(30))
PPROF = HEAD + FUNCTION + b"".join(location(1 + i % 3, i + 1) for i in range(9)) + b"".join(
    sample(bytes([1 + i % 9, 1 + (i + 4) % 9])) for i in range(30))


def huge():
    line = lambda end: ([b"a" * MIB] * 300 + [end])  # noqa: E731
    judge("folded: a line of 300 MiB", (2,), "in one piece", 128, lambda: line(b" 1\n"))
    judge("folded: the second line has 300 MiB", (2,), "in one piece", 128, lambda: [b"main;a 1\n"] + line(b" 1\n"))
    judge("perf script: a line of 300 MiB", (2,), "in one piece", 128, lambda: [PERF, b"\t"] + line(b" f (x)\n"))
    judge("folded: 300 MiB that are always the same", (0,), "", 128, lambda: [b"main;work;memcpy 1\n" * 50000] * 330)
    judge("folded: a stack of a million frames", (0,), "", 512, [b"f;" * 1_000_000 + b"g 1\n"])
    judge("flame: a stack of a million frames", (0,), "", 1024, [b"f;" * 1_000_000 + b"g 1\n"],
          ("flame", "-", "--output", "deep.svg", "--min-width", "50%"))
    judge("flame: the same from the leaf, as a page", (0,), "", 1024, [b"f;" * 1_000_000 + b"g 1\n"],
          ("flame", "-", "--reverse", "--output", "deep.html"))
    judge("perf script: a stack of a million frames", (0,), "", 512,
          lambda: [PERF, b"x 1/1 [000] 1.0: 1 cpu-clock:pppH: \n"] + [b"\t 5000 g+0x1 (/x)\n" * 1000] * 1000 + [b"\n"])
    judge("pprof: a stack of a million frames", (0,), "", 512, [HEAD + FUNCTION + location() + sample(b"\x01" * 1_000_000)])
    judge("folded: a stack of a million functions", (0,), "more are left out", 1024,
          [b"".join(b"f%d;" % i for i in range(1_000_000)) + b"x 1\n"], ("hotspots", "-", "--by", "function"))
    # each line is another path from its first frame on: 700 million nodes, if nobody looks
    judge("folded: 100 stacks of seven million frames", (4,), "memory", LIMIT_MIB * 2,
          lambda: (b"r%d;" % k + b"f;" * 7_000_000 + b"g 1\n" for k in range(100)))
    judge("perf script: 700 stacks of a million frames", (4,), "memory", LIMIT_MIB * 2,
          lambda: (piece for k in range(700) for piece in (
              [b"x 1/1 [000] 1.0: 1 cpu-clock:pppH: \n"] + [b"\t 5000 g+0x1 (/x)\n" * 1000] * 1000 + [b"\t 5000 r%d+0x1 (/x)\n\n" % k])))
    # 4 GiB of names in the lines of one sample
    judge("perf script: functions with names of 8 MiB", (4,), "memory", LIMIT_MIB * 2,
          lambda: (b"\t 5000 %d" % i + b"n" * (8 * MIB) + b" (/x)\n" if i else b"x 1/1 [000] 1.0: 1 cpu-clock:pppH: \n"
                   for i in range(500)))
    judge("perf script: a stack without end", (2, 4), "", LIMIT_MIB,
          lambda: [b"x 1/1 [000] 1.0: 1 cpu-clock:pppH: \n"] + [b"\t 0\n" * 1_000_000] * 100)
    judge("pprof: a million frames, each of a million inlined ones", (4,), "memory", LIMIT_MIB * 2,
          [HEAD + FUNCTION + location(1_000_000) + sample(b"\x01" * 1_000_000)])
    judge("pprof: one sample of a hundred million frames", (2, 4), "", LIMIT_MIB * 2,
          [HEAD + FUNCTION + location() + sample(b"\x01" * 100_000_000)])


def hostile():
    judge("pprof: a list that says it has 2^31 locations", (2,), "pprof", 64,
          [HEAD + FUNCTION + varint(2 << 3 | 2) + varint(1 << 31) + varint(1 << 3 | 2) + varint((1 << 31) - 12)])
    judge("pprof: a length of 2^63", (2,), "pprof", 64, [HEAD + varint(2 << 3 | 2) + varint(1 << 63)])
    judge("pprof: location 2^64 - 1", (2,), "which is not there", 64,
          [HEAD + FUNCTION + location() + sample(varint((1 << 64) - 1))])
    judge("pprof: texts 2^63 - 1 and beyond", (0,), "", 64,
          [HEAD + field(5, field(1, 1) + field(2, (1 << 63) - 1) + field(4, (1 << 64) - 1)) + location() + sample(b"\x01")])
    judge("pprof: a value of 2^63 - 1, twice", (0,), "", 64,
          [HEAD + FUNCTION + location() + sample(b"\x01", varint((1 << 63) - 1)) * 2])
    judge("pprof: a value below 0", (2,), "negative", 64, [HEAD + FUNCTION + location() + sample(b"\x01", varint((1 << 64) - 5))])
    judge("folded: a count of 2^64", (2,), ":1:", 64, [b"main 18446744073709551616\n"])
    judge("perf script: numbers without end", (0, 2), "", 64,
          [b"x " + b"9" * 400 + b"/" + b"9" * 400 + b" [" + b"9" * 400 + b"] 1.0: " + b"9" * 400 + b" cpu-clock: \n\t" + b"f" * 400 +
           b" g (/x)\n\n"])
    zeros = gzip.compress(bytes(MIB), 9)
    text = gzip.compress(b"main;work;memcpy 1\n" * 50000, 9)
    judge("gzip: a GiB of zeros", (2,), "", 600, lambda: [zeros] * 1024)
    judge("gzip: a GiB of one letter", (2,), "in one piece", 128, lambda: [gzip.compress(b"a" * MIB, 9)] * 1024)
    judge("gzip: 300 MiB of folded stacks", (0,), "", 128, lambda: [text] * 330)
    judge("gzip: pprof of a GiB", (2,), "MiB", 900,
          lambda: [gzip.compress(HEAD + FUNCTION + location())] + [gzip.compress(sample(b"\x01") * 100_000, 9)] * 1400)
    judge("gzip in gzip", (2,), "", 64, [gzip.compress(gzip.compress(FOLDED))])


def main():
    for name, whole in (("perf script", PERF), ("folded stacks", FOLDED), ("pprof", PPROF), ("gzip", gzip.compress(PPROF))):
        code, said, _ = run(["hotspots", "-"], [whole])
        if code:
            wrong.append(f"{name}: the good one is refused: {said}")
        spoil(whole, name, 60)
    cut(gzip.compress(FOLDED), "gzip", 3)
    hostile()
    huge()
    if wrong:
        sys.exit("wrong:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
