# SPDX-License-Identifier: MIT
"""How long `novacore plugin list` takes with thirty plugins, and how much memory."""
import json
import os
import shutil
import subprocess
import tempfile

import figures

PLUGINS = 30
BAR_S, BAR_BYTES = 15e-3, 16 << 20


def make_prefix(folder, build):
    """A relocated prefix: the binary, and copies of a plugin whose manifests differ by name."""
    places = os.path.join(folder, "lib/novacore/plugins/1/benchmark")
    source = os.path.join(build, "bench/plugins/1/benchmark/trivial")
    os.makedirs(places)
    binary = shutil.copy(os.path.join(build, "novacore"), folder)
    with open(source + ".manifest", encoding="utf-8") as text:
        manifest = text.read()
    for i in range(PLUGINS):
        shutil.copy(source + ".so", "%s/trivial-%02d.so" % (places, i))
        with open("%s/trivial-%02d.manifest" % (places, i), "w", encoding="utf-8") as out:
            out.write(manifest.replace('name = "trivial"', 'name = "trivial-%02d"' % i, 1))
    return binary


def spawn(options, warmup, count, *command):
    done = subprocess.run([os.path.join(options.build, "bench/spawn"), str(warmup), str(count)]
                          + list(command), stdout=subprocess.PIPE, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [int(row[0]) / 1e9 for row in rows], [int(row[1]) * 1024 for row in rows]


def measure(options):
    folder = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    os.chmod(folder, 0o755)
    os.environ["NOVACORE_HOME"] = os.path.join(folder, "home")
    walls, sizes, floor, version = [], [], [], []
    blocks, count = (2, 10) if options.quick else (10, 40)
    try:
        binary = make_prefix(folder, options.build)
        listed = json.loads(subprocess.run([binary, "plugin", "list", "--json"], check=True,
                                           stdout=subprocess.PIPE).stdout)
        plugins = listed["plugins"] if isinstance(listed, dict) else listed
        good = [p for p in plugins if not p.get("refused") and not p.get("code")]
        if len(good) != PLUGINS:
            raise SystemExit("bench: plugin list shows %d good plugins, not %d: %s"
                             % (len(good), PLUGINS, json.dumps(plugins)[:500]))
        for _ in range(blocks):
            wall, size = spawn(options, 2, count, binary, "plugin", "list")
            walls += wall
            sizes += size
            floor += spawn(options, 2, count, "/bin/true")[0]
            version += spawn(options, 2, count, binary, "--version")[0]
    finally:
        shutil.rmtree(folder)
    how = "posix_spawn to exit, %d blocks interleaved with the floor" % blocks
    half, half_interval = figures.quantile(walls, 0.5)
    most, most_interval = figures.quantile(walls, 0.95)
    base, base_interval = figures.quantile(floor, 0.5)
    bare, bare_interval = figures.quantile(version, 0.5)
    reason = None
    if half > BAR_S or most > BAR_S:
        reason = ("of %.1f ms (median) %.1f ms are the start of the process and its libraries "
                  "(novacore --version), %.1f ms the %d plugins: %.2f ms each" % (
                      half * 1e3, bare * 1e3, (half - bare) * 1e3, PLUGINS,
                      (half - bare) * 1e3 / PLUGINS))
    size = max(sizes)
    return {"results": [
        figures.result("wall time, median", half, half_interval, len(walls), "s", how, BAR_S,
                       half <= BAR_S, reason if half > BAR_S else None),
        figures.result("wall time, p95", most, most_interval, len(walls), "s", how, BAR_S,
                       most <= BAR_S, reason if most > BAR_S >= half else None),
        figures.result("largest resident set", size, [min(sizes), size], len(sizes), "B",
                       "wait4, most of all; interval: the range", BAR_BYTES, size <= BAR_BYTES),
        figures.result("floor: novacore --version, median", bare, bare_interval, len(version), "s",
                       "the same"),
        figures.result("floor: /bin/true, median", base, base_interval, len(floor), "s",
                       "the same"),
    ]}
