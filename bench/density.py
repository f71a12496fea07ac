# SPDX-License-Identifier: MIT
"""A burst of VMs by novacore against a C program that makes the same libvirt calls."""
import os
import shutil
import subprocess
import tempfile

import bursts
import figures
import lives

BAR = 0.95


def raw(options, place, image, count):
    log = {"LIBVIRT_LOG_OUTPUTS": "3:file:%s/raw.log" % place}
    done = subprocess.run(
        [os.path.join(options.build, "bench/raw_density"), place + "/raw",
         place + "/template.xml", image, place + "/vms", str(count), str(bursts.AT_ONCE)],
        check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ, **log))
    burst, delete = (int(word) / 1e9 for word in done.stdout.split())
    return {"rate": count / burst, "delete": count / delete}


def measure(options):
    count, blocks = (8, 2) if options.quick else (24, 10)
    place = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    try:
        os.chmod(place, 0o755)
        for folder in ("home", "raw", "raw/etc", "vms"):
            os.mkdir("%s/%s" % (place, folder), 0o755)
        image, outcome = bursts.prepare(options, place)
        shutil.copy(place + "/home/state/plugins/kvm/libvirt/etc/qemu.conf", place + "/raw/etc/")
        raw(options, place, image, 1)  # libvirt learns what QEMU can, once for each root
        done, seed = bursts.compare("density", {
            "novacore": lambda n: bursts.novacore(options, place + "/home", image, n)[0],
            "raw": lambda n: raw(options, place, image, n)}, count, blocks)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    value, interval = bursts.ratio(done, "raw", "rate")
    deleted = bursts.ratio(done, "raw", "delete")
    met = None if interval is None or interval[0] < BAR <= interval[1] else interval[0] >= BAR
    reason = None if met else (
        "too few blocks for an interval" if interval is None else
        "the interval lies on both sides of the bar: too few bursts, or too much load"
        if met is None else "novacore is slower; where the time goes: ./dev bench lifecycle")
    method = ("Hodges–Lehmann on the log ratios of the bursts, exact signed-rank interval; %d blocks "
              "of %d VMs a side, %d on their way at once" % (blocks, count, bursts.AT_ONCE))
    return {"results": [
        figures.result("novacore / raw libvirt, VMs created a second", value, interval, blocks, "1",
                       method, BAR, met, reason, at_least=True),
        figures.result("novacore / raw libvirt, VMs deleted a second", deleted[0], deleted[1],
                       blocks, "1", method),
    ], "tables": {"rates": bursts.rates(done, "raw")}, "notes": ["order seed %d" % seed],
        "details": {"seed": seed, "target": lives.target_of(outcome), "blocks": done}}
