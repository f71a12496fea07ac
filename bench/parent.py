# SPDX-License-Identifier: MIT
"""What the parent of a run takes of a CPU and of memory while 100 VMs live, on the simulator in real
time and in a burst of boot sectors; the worker beside it."""
import os
import shutil
import subprocess
import tempfile
import time

import bursts
import figures
import lives

BAR_CPU, BAR_BYTES = 0.01, 16 << 20
VMS = 100
TICK = os.sysconf("SC_CLK_TCK")


def look(pid):
    """CPU seconds of a process and its largest resident set, or None when it has gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as text:
            words = text.read().rsplit(")", 1)[1].split()
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as text:
            peak = [line.split()[1] for line in text if line.startswith("VmHWM")]
    except (OSError, IndexError):
        return None
    return ((int(words[11]) + int(words[12])) / TICK, int(peak[0]) * 1024) if peak else None


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as text:
            return [int(word) for word in text.read().split()]
    except OSError:
        return []


def is_worker(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as text:
            return text.read().split(b"\0")[1:2] == [b"worker"]
    except OSError:
        return False


def watch(command, env):
    """Runs it and looks at parent and worker until they have gone: (wall, parent, worker)."""
    begin = time.monotonic()
    process = subprocess.Popen(command, env=env)
    parent, workers = (0, 0), {}
    while process.poll() is None:
        parent = look(process.pid) or parent
        for child in children(process.pid):
            if child in workers or is_worker(child):
                workers[child] = look(child) or workers.get(child, (0, 0))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit("bench: novacore ended with %d" % process.returncode)
    worker = (sum(one[0] for one in workers.values()),
              max((one[1] for one in workers.values()), default=0))
    return time.monotonic() - begin, parent, worker


def simulated(options, home, vms=VMS, clock="real"):
    command = [os.path.join(options.build, "novacore"), "--profile", "dev", "--plugin", "sim",
               "--benchmark", "lifecycle", "--full", "--quiet", "--format", "json", "--output",
               home + "/result.json", "--max-vms", str(vms)]
    sets = {"run.warmup": 0, "run.samples": vms, "lifecycle.concurrency": vms,
            "lifecycle.snapshot": "false", "hypervisor.sim.clock": clock}
    for stage in ("create", "start", "first", "userspace", "ready", "stop", "delete"):
        sets["hypervisor.sim." + stage] = "lognormal:2s:0.2"
    for key, value in sets.items():
        command += ["--set", "%s=%s" % (key, value)]
    return watch(command, dict(os.environ, NOVACORE_HOME=home))


def burst(options, home, image):
    return watch(bursts.command(options, image, VMS, home + "/result.json"),
                 dict(os.environ, NOVACORE_HOME=home))


def judge(value, interval, bar):
    return None if interval is None or interval[0] <= bar < interval[1] else interval[1] <= bar


def results_of(where, looks, alone_s):
    shares = [parent[0] / wall for wall, parent, _ in looks]
    value, interval = figures.quantile(shares, 0.5)
    met = judge(value, interval, BAR_CPU)
    found = [figures.result("parent's share of a core, " + where, value, interval, len(looks), "1",
                            "CPU time over wall time of a whole run, median", BAR_CPU, met,
                            None if met else "%s%.2f s of CPU time a run, of which %.2f s are those of a "
                            "run of one VM that takes no time: start and end of the program" % (
                                "" if interval else "too few runs for an interval; ",
                                figures.median([parent[0] for _, parent, _ in looks]), alone_s))]
    peak = max(parent[1] for _, parent, _ in looks)
    found.append(figures.result("parent's largest resident set, " + where, peak / 2**20, None,
                                len(looks), "MiB", "VmHWM, largest of the runs", BAR_BYTES / 2**20,
                                peak <= BAR_BYTES))
    value, interval = figures.quantile([worker[0] / wall for wall, _, worker in looks], 0.5)
    found.append(figures.result("worker's share of a core, " + where, value, interval, len(looks),
                                "1", "likewise"))
    found.append(figures.result("worker's largest resident set, " + where,
                                max(worker[1] for _, _, worker in looks) / 2**20, None, len(looks),
                                "MiB", "VmHWM, largest of the runs"))
    return found


def measure(options):
    runs, bursts_wanted = (1, 1) if options.quick else (6, 6)
    home = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    try:
        os.chmod(home, 0o755)
        image = home + "/sector.img"
        lives.write_sector(image)
        alone = figures.median([simulated(options, home, 1, "virtual")[1][0] for _ in range(runs)])
        quiet = [simulated(options, home) for _ in range(runs)]
        busy = [burst(options, home, image) for _ in range(bursts_wanted)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {"results": results_of("100 simulated VMs at once", quiet, alone) +
            results_of("burst of 100 boot sectors", busy, alone),
            "notes": ["a run took %.1f s (simulated) and %.1f s (burst), medians" % tuple(
                figures.median([wall for wall, _, _ in looks]) for looks in (quiet, busy))]}
