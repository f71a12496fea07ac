# SPDX-License-Identifier: MIT
"""Bursts of VMs by novacore, and their rates beside another's, for the benchmarks of density."""
import json
import math
import os
import random
import subprocess
import sys

import figures
import lives

AT_ONCE = 4  # VMs on their way: novacore's default on two CPUs


def command(options, image, count, output, extra=()):
    """novacore's burst of `count` VMs that boot the sector in `image`; its result in `output`."""
    sets = {"run.shape": "standard", "vm.standard.boot": "stub", "vm.standard.image": image,
            "vm.standard.memory": "16MiB", "run.samples": 1, "run.warmup": 0,
            "density.guest": "image", "density.until": "first", "density.count": count,
            "density.concurrency": AT_ONCE, "density.cooldown": "0s"}
    words = [os.path.join(options.build, "novacore"), "--benchmark", "density", "--plugin", "kvm",
             "--full", "--quiet", "--format", "json", "--output", output]
    for key, value in sets.items():
        words += ["--set", "%s=%s" % (key, value)]
    return words + list(extra)


def read(output, count):
    """Rate and deletion rate of a burst that came whole."""
    with open(output, encoding="utf-8") as text:
        result = json.load(text)
    step = result["steps"][0]
    if step["counts"]["succeeded"] != count:
        raise SystemExit("bench: only %d of %d VMs came" % (step["counts"]["succeeded"], count))
    values = {metric["name"]: metric["value"] for metric in step["metrics"]}
    return {"rate": values["density.rate"], "delete": values["density.delete.rate"]}, result


def novacore(options, home, image, count, extra=(), env=None):
    output = os.path.join(home, "result.json")
    subprocess.run(command(options, image, count, output, extra), check=True,
                   env=dict(os.environ, NOVACORE_HOME=home, **(env or {})))
    return read(output, count)


def prepare(options, place, extra=()):
    """The guest, and the template of its VMs as novacore's burst defines them."""
    image = place + "/sector.img"
    lives.write_sector(image)

    def logged(env):
        return novacore(options, place + "/home", image, 1, extra, env)[1]
    definition, outcome = lives.logged_definition(place + "/home", logged)
    with open(place + "/template.xml", "w", encoding="utf-8") as out:
        out.write(lives.make_template(definition, place + "/vms"))
    return image, outcome


def compare(name, sides, count, blocks):
    """Blocks of one burst each, in random order; the sides give {"rate", "delete"}."""
    seed = random.SystemRandom().randrange(1 << 32)
    order, done = random.Random(seed), []
    for i in range(blocks):
        block, names = {}, list(sides)
        order.shuffle(names)
        for side in names:
            block[side] = sides[side](count)
        done.append(block)
        print("%s: block %d of %d, %s" % (name, i + 1, blocks, ", ".join(
            "%s %.2f/s" % (side, block[side]["rate"]) for side in sorted(block))), file=sys.stderr)
    return done, seed


def ratio(blocks, other, what):
    return figures.ratio([math.log(block["novacore"][what] / block[other][what])
                          for block in blocks])


def rates(blocks, other):
    rows = [["VMs a second, medians of the bursts", "novacore", other]]
    for what, title in (("rate", "created, to the first byte"), ("delete", "deleted")):
        rows.append([title] + [figures.median([block[side][what] for block in blocks])
                               for side in ("novacore", other)])
    return rows
