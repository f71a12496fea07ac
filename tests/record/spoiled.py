# SPDX-License-Identifier: MIT
"""spoiled.py NOVACORE PROGRAM: programs whose ELF and DWARF are cut or have wrong bytes. A recording that was killed
has no names yet, so that who reads it looks for them in those files: it finds some, or says that it found none; it
neither crashes nor takes all memory, and the samples are there whatever the file is."""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

NOVACORE, PROGRAM = sys.argv[1:3]
TIMES = 120
SEED = int(os.environ.get("NOVACORE_SEED", "7"))  # always the same: it is elfutils that is tried, too
MOST_MIB = 512


def bound():
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def killed_recording(program):
    recorder = subprocess.Popen([NOVACORE, "record", "--output", "nameless", "--", program, "60"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        time.sleep(0.1)
        shown = subprocess.run([NOVACORE, "recordings", "show", "nameless", "--format", "json"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if shown.returncode == 0 and json.loads(shown.stdout).get("samples", 0) > 50:
            break
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    return "nameless/recording.nova"


def look(recording):
    with open("out", "w+b") as out, open("err", "w+b") as err:
        child = subprocess.Popen([NOVACORE, "hotspots", recording, "--format", "json", "--threshold", "0"], stdout=out,
                                 stderr=err, stdin=subprocess.DEVNULL, preexec_fn=bound)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return child.returncode, out.read(), err.read().decode("utf-8", "replace"), usage.ru_maxrss / 1024


def spoil(whole, build_id, draw):
    """What of the file is another one is not looked at: the build-id stays."""
    how = draw.choice(("bytes", "bytes", "bytes", "cut", "block", "headers"))
    data = bytearray(whole)
    if how == "cut":
        del data[draw.randrange(64, len(data)):]
    elif how == "block":
        at = draw.randrange(64, len(data))
        data[at:at + 4096] = draw.randbytes(len(data[at:at + 4096]))
    else:
        area = range(16, 64 + 56 * 13) if how == "headers" else range(64, len(data))
        for _ in range(draw.choice((1, 4, 40, 400))):
            data[draw.choice(area)] = draw.choice((0, 1, 0x7f, 0x80, 0xff, draw.randrange(256)))
    at = whole.find(build_id)
    if how not in ("cut", "headers"):
        data[at:at + len(build_id)] = build_id
    return how, bytes(data)


def main():
    program = os.path.abspath("program")
    shutil.copy(PROGRAM, program)
    recording = killed_recording(program)
    whole = pathlib.Path(program).read_bytes()
    note = whole.find(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0")  # of a build-id: NT_GNU_BUILD_ID
    build_id = whole[note + 16:note + 36]
    code, good, said, _ = look(recording)
    if code or b"outer::Machine" not in good or note < 0:
        sys.exit(f"the good one gives {code}: {said}")
    samples = json.loads(good)["samples"]
    draw, seen, wrong = random.Random(SEED), {}, []
    print(f"-- seed {SEED}: {len(whole)} bytes, {samples} samples")
    for _ in range(TIMES):
        how, data = spoil(whole, build_id, draw)
        os.unlink(program)
        pathlib.Path(program).write_bytes(data)
        code, out, said, memory = look(recording)
        what = "crashes" if code not in (0, 2) else "refused" if code else "named" if b"Machine" in out else "nameless"
        seen[(how, what)] = seen.get((how, what), 0) + 1
        if code != 0 or memory > MOST_MIB or json.loads(out)["samples"] != samples:
            wrong.append(f"{how}: {code}, {memory:.0f} MiB: {said[-200:]}")
            pathlib.Path(f"wrong{len(wrong)}").write_bytes(data)
    for (how, what), count in sorted(seen.items()):
        print(f"-- {how}: {what} {count} times")
    if wrong:
        sys.exit("wrong:\n" + "\n".join(wrong[:10]))


if __name__ == "__main__":
    main()
