# SPDX-License-Identifier: MIT
"""The life of a VM through novacore against a shell loop over virsh, on one libvirt daemon."""
import os
import random
import shutil
import subprocess
import tempfile
import time

import figures
import lives
from lifecycle import log_ratio

BLOCK = 5


def start_daemon(options, place):
    """A session daemon of our own, below a process that reaps what it orphans, as init would."""
    for folder in ("daemon", "daemon/run", "daemon/libvirt"):
        os.mkdir("%s/%s" % (place, folder), 0o700)
    base = place + "/daemon"
    with open(base + "/libvirtd.conf", "w", encoding="utf-8") as out:
        out.write('unix_sock_dir = "%s"\nauth_unix_rw = "none"\n'
                  'host_uuid = "11234567-89ab-4def-8123-456789abcdef"\n' % base)
    with open(base + "/libvirt/qemu.conf", "w", encoding="utf-8") as out:
        out.write('stdio_handler = "file"\nsecurity_driver = "none"\n')
    env = dict(os.environ, XDG_CONFIG_HOME=base, XDG_CACHE_HOME=base, XDG_DATA_HOME=base,
               XDG_RUNTIME_DIR=base + "/run")
    with open(base + "/log", "w", encoding="utf-8") as log:
        daemon = subprocess.Popen(
            [os.path.join(options.tree, "bench/run"), "--reap", "libvirtd", "-f",
             base + "/libvirtd.conf", "-p", base + "/pid"], env=env, stdout=log, stderr=log)
    for _ in range(200):
        if os.path.exists(base + "/libvirt-sock"):
            return daemon, "qemu+unix:///session?socket=%s/libvirt-sock" % base
        if daemon.poll() is not None:
            break
        time.sleep(0.05)
    if daemon.poll() is None:
        daemon.terminate()
        daemon.wait()
    with open(base + "/log", encoding="utf-8") as log:
        raise SystemExit("bench: libvirtd does not start: %s" % log.read()[-500:])


def loop(options, uri, place, image, first):
    done = subprocess.run(
        [os.path.join(options.tree, "bench/virsh_loop.sh"), uri, place + "/template.xml", image,
         place + "/vms", str(first), str(BLOCK)], check=True, stdout=subprocess.PIPE, text=True)
    found = []
    for line in done.stdout.splitlines():
        words = line.split()
        create, running, heard, _, _, total = (int(word) / 1e9 for word in words[:6])
        found.append({"create": create, "running": running, "first": heard, "total": total,
                      "rest": total - create - heard, "polls": int(words[6])})
    return found


def one_call(uri, count):
    """What a single virsh costs before it has asked anything of a VM."""
    walls = []
    for _ in range(count):
        begin = time.monotonic()
        subprocess.run(["virsh", "--quiet", "--connect", uri, "list"], check=True,
                       stdout=subprocess.DEVNULL)
        walls.append(time.monotonic() - begin)
    return figures.quantile(walls, 0.5)


def run_blocks(options, uri, place, order, count):
    image = place + "/sector.img"
    lives.write_sector(image)
    extra = ["--uri", uri]
    definition, outcome = lives.capture_definition(options, place + "/home", image, extra)
    with open(place + "/template.xml", "w", encoding="utf-8") as out:
        out.write(lives.make_template(definition, place + "/vms"))
    blocks = []
    for number in range(count):
        block, sides = {}, ["novacore", "raw"]
        order.shuffle(sides)
        for side in sides:
            block[side] = (loop(options, uri, place, image, number * BLOCK) if side == "raw" else
                           lives.novacore(options, place + "/home", image, BLOCK, extra)[0])
        blocks.append(block)
    return blocks, outcome


def measure(options):
    seed = random.SystemRandom().randrange(1 << 32)
    place = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    for folder in ("home", "vms"):
        os.mkdir("%s/%s" % (place, folder), 0o755)
    daemon = None
    try:
        daemon, uri = start_daemon(options, place)
        blocks, outcome = run_blocks(options, uri, place, random.Random(seed),
                                     3 if options.quick else 20)
        call = one_call(uri, 10 if options.quick else 50)
    finally:
        if daemon:
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(place, ignore_errors=True)
    n = len(blocks) * BLOCK
    value, interval = figures.ratio([log_ratio(block) for block in blocks])
    rows = [["stage, ms", "novacore", "virsh loop"]]
    for stage in lives.STAGES:
        rows.append([stage] + [figures.median([life[stage] for block in blocks
                                               for life in block[side]]) * 1e3
                               for side in ("novacore", "raw")])
    polled = [life["polls"] for block in blocks for life in block["raw"]]
    return {"results": [
        figures.result("novacore / virsh loop, total of a life", value, interval, n, "1",
                       "Hodges–Lehmann on the log ratios of the block medians, exact signed-rank "
                       "interval; %d blocks of %d pairs" % (len(blocks), BLOCK)),
        figures.result("one call of virsh", call[0], call[1], 10 if options.quick else 50, "s",
                       "median, order statistics"),
    ], "tables": {"what each reports (medians of %d VMs a side)" % n: rows}, "notes": [
        "order seed %d; both on one libvirt daemon of an ordinary user" % seed,
        "the loop slept a second %d times in %d lives; it has no event: `running` is the return of "
        "a second virsh, `first` the next look" % (sum(polled), n)],
        "details": {"seed": seed, "target": lives.target_of(outcome), "blocks": blocks}}
