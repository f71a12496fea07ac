# SPDX-License-Identifier: MIT
"""kill.py NOVACORE WORKLOAD: kills recordings at random moments. Whatever is left opens in each command, or is told
to have nothing in it; nobody crashes, and what the recorder started ends with it."""
import concurrent.futures
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

NOVACORE, WORKLOAD = sys.argv[1:3]
TRIALS = 24
SEED = int(os.environ.get("NOVACORE_SEED", time.time_ns() % 1_000_000))


def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def run(*arguments):
    done = subprocess.run([NOVACORE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    if done.returncode < 0 or done.returncode > 4:
        raise AssertionError(f"{arguments}: {done.returncode}: {done.stderr}")
    return done


def opens(directory):
    """How many samples were there. A recording without any is told to be that, by each command alike."""
    file = directory / "recording.nova"
    if not file.exists():
        return -1
    shown = run("recordings", "show", str(directory), "--format", "json")
    samples = json.loads(shown.stdout).get("samples", 0) if shown.returncode == 0 else 0
    for arguments in (("hotspots", str(file)), ("hotspots", str(file), "--by", "process"),
                      ("flame", str(file), "--output", str(directory / "new.svg")),
                      ("flame", str(file), "--output", str(directory / "new.html"))):
        done = run(*arguments)
        if samples and done.returncode:
            raise AssertionError(f"{samples} samples, and {arguments} says: {done.stderr}")
        if not samples and not (done.returncode == 2 and "recording.nova" in done.stderr):
            raise AssertionError(f"no samples, and {arguments} gives {done.returncode}: {done.stderr}")
    again = run("record", "--output", str(directory), "--", WORKLOAD, "1")
    if again.returncode != 2 or "has a recording already" not in again.stderr:
        raise AssertionError(f"it was written over: {again.returncode} {again.stderr}")
    return samples


def trial(number):
    draw = random.Random(SEED * 1000 + number)
    directory = pathlib.Path(f"kill{number}")
    # who runs on is sampled until the blow; a short one may be hit where names are looked for
    seconds = "60" if number % 2 else str(draw.uniform(0.2, 1.5))
    how = ["--stacks", "dwarf"] if number % 5 == 4 else []
    recorder = subprocess.Popen([NOVACORE, "record", *how, "--output", str(directory), "--", WORKLOAD, seconds],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(draw.uniform(0, 4))
    victim = "recorder"
    below = children(recorder.pid)
    if number % 3 == 2 and below:
        victim = comm(below[0])
        os.kill(below[0], signal.SIGKILL)
        try:
            said = recorder.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            recorder.kill()
            raise AssertionError("the recorder waits for a child that was killed") from None
        if recorder.returncode < 0:
            raise AssertionError(f"the recorder died with its child: {said}")
    else:
        recorder.kill()
        recorder.communicate()
    patience = time.monotonic() + 20
    while any(alive(pid) for pid in below) and time.monotonic() < patience:
        time.sleep(0.05)
    if any(alive(pid) for pid in below):
        raise AssertionError(f"{comm(below[0])} outlives its recorder")
    return victim, opens(directory)


def killed_namer():
    """Who looks for names is killed as soon as it is seen: the recording is whole, without some names."""
    directory = pathlib.Path("namer")
    for attempt in range(20):
        place = directory.with_name(f"namer{attempt}")
        # the interpreter's file is large: its symbols take a moment
        recorder = subprocess.Popen([NOVACORE, "record", "--freq", "997", "--overhead", "20%", "--output", str(place), "--",
                                     sys.executable, "-c", "sum(i * i for i in range(2_000_000))"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        first = None
        while recorder.poll() is None:
            below = children(recorder.pid)
            first = first or (below[0] if below else None)
            if below and below[0] != first:
                os.kill(below[0], signal.SIGKILL)
                break
        said = recorder.communicate(timeout=60)[1]
        if "died of signal 9" in said:
            if recorder.returncode != 0 or not opens(place) or not (place / "cpu.svg").exists():
                raise AssertionError(f"without names: {recorder.returncode} {said}")
            return attempt + 1
    raise AssertionError("who looks for names was never hit")


def main():
    print(f"-- seed {SEED}")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(trial, range(TRIALS)))
    for victim in sorted({who for who, _ in seen}):
        counts = [samples for who, samples in seen if who == victim]
        print(f"-- {victim} killed {len(counts)} times: {sum(c > 0 for c in counts)} had samples, "
              f"{sum(c == 0 for c in counts)} none yet, {sum(c < 0 for c in counts)} no file yet; all open")
    if not any(samples > 0 for _, samples in seen):
        sys.exit("no recording had a sample: the test shows nothing")
    print(f"-- who looks for names was hit at attempt {killed_namer()}; the recording is whole")


if __name__ == "__main__":
    main()
