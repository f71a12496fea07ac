# SPDX-License-Identifier: MIT
"""The life of a VM through novacore against a C program that makes the same libvirt calls."""
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile

import figures
import lives

BAR = 1.01
WIDTH = 0.005  # half of the interval at which it has seen enough
BLOCK = 5      # VMs of one process


def raw(options, place, image):
    command = [os.path.join(options.build, "bench/raw_lifecycle"), place + "/raw",
               place + "/template.xml", image, place + "/vms", "1", str(BLOCK)]
    log = {"LIBVIRT_LOG_OUTPUTS": "3:file:%s/raw.log" % place}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, **log))
    found = []
    for line in done.stdout.splitlines():
        create, _, running, first, _, _, total = (int(word) / 1e9 for word in line.split())
        found.append({"create": create, "running": running, "first": first, "total": total,
                      "rest": total - create - first})
    return found


def prepare(options, place):
    os.chmod(place, 0o755)
    for folder in ("home", "raw", "raw/etc", "vms"):
        os.mkdir("%s/%s" % (place, folder), 0o755)
    image = place + "/sector.img"
    lives.write_sector(image)
    definition, outcome = lives.capture_definition(options, place + "/home", image)
    with open(place + "/template.xml", "w", encoding="utf-8") as out:
        out.write(lives.make_template(definition, place + "/vms"))
    shutil.copy(place + "/home/state/plugins/kvm/libvirt/etc/qemu.conf", place + "/raw/etc/")
    raw(options, place, image)  # libvirt learns what QEMU can, once for each root
    return image, outcome


def log_ratio(block, stage="total"):
    theirs, ours = (figures.median([life[stage] for life in block[side]])
                    for side in ("raw", "novacore"))
    return math.log(ours / theirs)


def difference(blocks, stage):
    return figures.hodges_lehmann([
        figures.median([life[stage] for life in block["novacore"]]) -
        figures.median([life[stage] for life in block["raw"]]) for block in blocks])


def reason_of(blocks, total):
    worst = max(("create", "first", "rest"), key=lambda stage: difference(blocks, stage)[0])
    value, interval = difference(blocks, worst)
    return ("novacore's VMs take %+.1f ms, of it %+.1f ms (%s) in stage `%s`" % (
        total[0] * 1e3, value * 1e3,
        "%.1f … %.1f" % (interval[0] * 1e3, interval[1] * 1e3) if interval else "no interval",
        worst))


def measure(options):
    pairs_most, fewest = (20, 4) if options.quick else (300, 10)
    seed = random.SystemRandom().randrange(1 << 32)
    order = random.Random(seed)
    place = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    blocks, value, interval = [], None, None
    try:
        image, outcome = prepare(options, place)
        while len(blocks) * BLOCK < pairs_most:
            block, sides = {}, ["novacore", "raw"]
            order.shuffle(sides)
            for side in sides:
                block[side] = (raw(options, place, image) if side == "raw" else
                               lives.novacore(options, place + "/home", image, BLOCK)[0])
            blocks.append(block)
            value, interval = figures.ratio([log_ratio(block) for block in blocks])
            if len(blocks) % 10 == 0:
                print("lifecycle: %d pairs, ratio %.4f (%s)" % (
                    len(blocks) * BLOCK, value, "%.4f … %.4f" % tuple(interval) if interval
                    else "no interval yet"), file=sys.stderr)
            if (len(blocks) >= fewest and interval and
                    max(interval[1] / value, value / interval[0]) <= 1 + WIDTH):
                break
    finally:
        shutil.rmtree(place, ignore_errors=True)
    total = difference(blocks, "total")
    met = (None if interval is None or interval[0] <= BAR < interval[1] else interval[1] <= BAR)
    n = len(blocks) * BLOCK
    method = ("Hodges–Lehmann on the log ratios of the block medians, exact signed-rank interval; "
              "%d blocks of %d pairs" % (len(blocks), BLOCK))
    rows = [["stage, ms", "novacore", "raw", "difference", "95 % interval"]]
    for stage in lives.STAGES:
        half = [figures.median([life[stage] for block in blocks for life in block[side]])
                for side in ("novacore", "raw")]
        moved = difference(blocks, stage)
        rows.append([stage, half[0] * 1e3, half[1] * 1e3, moved[0] * 1e3,
                     "%.2f … %.2f" % tuple(x * 1e3 for x in moved[1]) if moved[1] else None])
    reason = None
    if not met:
        reason = reason_of(blocks, total)
        if met is None:
            reason += "; the interval lies on both sides of the bar: too few pairs, or too much load"
    stopped = ("the interval was within ±0.5 %" if interval and
               max(interval[1] / value, value / interval[0]) <= 1 + WIDTH else
               "%d pairs were spent" % n)
    return {"results": [
        figures.result("novacore / raw libvirt, total of a life", value, interval, n, "1", method,
                       BAR, met, reason),
        figures.result("difference of a life", total[0], total[1], n, "s", "Hodges–Lehmann"),
    ], "tables": {"where the time goes (medians of %d VMs a side)" % n: rows},
        "notes": ["order seed %d; stopped because %s" % (seed, stopped)],
        "details": {"seed": seed, "target": lives.target_of(outcome), "blocks": blocks}}
