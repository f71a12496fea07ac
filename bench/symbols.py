# SPDX-License-Identifier: MIT
"""What CPU time it takes to name 100,000 distinct addresses of a program: novacore's own way, binutils' addr2line and
elfutils' eu-addr2line, one process each for all of them, in random order, over and over."""
import math
import os
import random
import shutil
import struct
import subprocess
import tempfile

import figures


def text_of(path):
    """Offset, address and size of the largest part that is executed."""
    with open(path, "rb") as file:
        head = file.read(64)
        table, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(table)
        parts = [struct.unpack_from("<IIQQQQQQ", file.read(size)) for _ in range(count)]
    _, _, offset, address, _, length, _, _ = max((p for p in parts if p[0] == 1 and p[1] & 1), key=lambda p: p[5])
    return offset, address, length


def run(command, given):
    """CPU time of the process, and what it says."""
    with open(given, "rb") as stdin, tempfile.TemporaryFile() as stdout:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        stdout.seek(0)
        return used.ru_utime + used.ru_stime, stdout.read().decode(errors="replace")


def functions(name, text):
    """The innermost function of each address; the peers print a line of its source, too."""
    lines = text.split("\n")[:-1]
    return lines if name.startswith("novacore") else [line.split(" inlined at ")[0] for line in lines[0::2]]


def same(a, b):
    """Both may write parameters, return types and what compilers append, or not."""
    def bare(name):
        name = name.split("(")[0].split("@")[0].split(" [clone")[0].split(".")[0].strip()
        return name.split("::")[-1].split("<")[0].split(" ")[-1]
    return bare(a) == bare(b)


def named(name):
    """Neither without a name, nor by the place of a function that has none."""
    return not name.startswith("??") and "+0x" not in name


def measure(options):
    driver = os.path.join(options.build, "bench/symbols")
    programs = {"QEMU, symbols only": shutil.which("qemu-system-x86_64"),
                "novacore, with DWARF": os.path.join(options.build, "novacore")}
    count, rounds = (10000, 6) if options.quick else (100000, 6)
    rng, results, agreement, notes = random.Random(1), [], [["program", "peer", "same function", "only novacore", "only the peer"]], []
    with tempfile.TemporaryDirectory(prefix="novacore-bench-") as place:
        os.environ["NOVACORE_HOME"] = place
        for what, path in programs.items():
            if not path:
                notes.append("%s: not there" % what)
                continue
            offset, address, length = text_of(path)
            places = rng.sample(range(length), count)
            for name, base in (("offsets", offset), ("addresses", address)):
                with open(os.path.join(place, name), "w", encoding="ascii") as out:
                    out.writelines("0x%x\n" % (base + at) for at in places)
            ways = {"novacore": [driver, path]}
            if "DWARF" in what:
                ways["novacore, again"] = [driver, path, "cached"]
                run(ways["novacore, again"], os.path.join(place, "offsets"))
            for tool in ("addr2line", "eu-addr2line"):
                if shutil.which(tool):
                    ways[tool] = [tool, "-f", "-C", "-e", path]
                else:
                    notes.append("%s: not there" % tool)
            took, said = {way: [] for way in ways}, {}
            for _ in range(rounds):
                for way in rng.sample(list(ways), len(ways)):
                    seconds, text = run(ways[way], os.path.join(place, "offsets" if way.startswith("novacore") else "addresses"))
                    took[way].append(seconds)
                    said[way] = functions(way, text)
            for way in ways:
                value, interval = figures.quantile(took[way], 0.5)
                results.append(figures.result("%s: %s" % (what, way), value, interval, rounds, "s",
                                              "CPU time for %d addresses, the start included" % count))
            if "novacore, again" in ways:
                value, interval = figures.ratio(
                    [math.log(a / b) for a, b in zip(took["novacore, again"], took["novacore"])])
                results.append(figures.result("%s: known already, over not" % what, value, interval, rounds, "1",
                                              "in turn, in random order"))
            for way in [way for way in ways if not way.startswith("novacore")]:
                value, interval = figures.ratio([math.log(a / b) for a, b in zip(took["novacore"], took[way])])
                met = None if interval is None else True if interval[1] <= 1 else False if interval[0] > 1 else None
                results.append(figures.result("%s: novacore over %s" % (what, way), value, interval, rounds, "1",
                                              "in turn, in random order", 1.0, met))
                both = [(named(a), named(b), same(a, b)) for a, b in zip(said["novacore"], said[way])]
                hits = [same for ours, theirs, same in both if ours and theirs]
                agreement.append([what, way, "%.1f %%" % (100 * sum(hits) / max(1, len(hits)))] + [
                    "%.1f %%" % (100 * sum(pair == wanted for *pair, _ in both) / count)
                    for wanted in ([True, False], [False, True])])
    return {"results": results, "tables": {"agreement": agreement}, "notes": notes}
