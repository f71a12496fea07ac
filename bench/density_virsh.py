# SPDX-License-Identifier: MIT
"""A burst of VMs by novacore against loops over virsh, as many at once, on one libvirt daemon."""
import os
import shutil
import subprocess
import tempfile

import bursts
import figures
import lives
from virsh_loop import start_daemon


def loops(options, uri, place, image, count):
    """As many shell loops as VMs may be on their way, each over its share of them."""
    done = subprocess.run(
        [os.path.join(options.tree, "bench/virsh_burst.sh"), uri, place + "/template.xml", image,
         place + "/vms", str(count), str(bursts.AT_ONCE)], check=True, stdout=subprocess.PIPE,
        text=True)
    burst, delete = (int(word) / 1e9 for word in done.stdout.split())
    return {"rate": count / burst, "delete": count / delete}


def measure(options):
    count, blocks = (8, 2) if options.quick else (24, 8)
    place = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    daemon = None
    try:
        for folder in ("home", "vms"):
            os.mkdir("%s/%s" % (place, folder), 0o755)
        daemon, uri = start_daemon(options, place)
        extra = ["--uri", uri]
        image, outcome = bursts.prepare(options, place, extra)
        done, seed = bursts.compare("density_virsh", {
            "novacore": lambda n: bursts.novacore(options, place + "/home", image, n, extra)[0],
            "virsh": lambda n: loops(options, uri, place, image, n)}, count, blocks)
    finally:
        if daemon:
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(place, ignore_errors=True)
    method = ("Hodges–Lehmann on the log ratios of the bursts, exact signed-rank interval; %d blocks "
              "of %d VMs a side, %d on their way at once" % (blocks, count, bursts.AT_ONCE))
    results = []
    for what, title in (("rate", "created"), ("delete", "deleted")):
        value, interval = bursts.ratio(done, "virsh", what)
        results.append(figures.result("novacore / virsh loops, VMs %s a second" % title, value,
                                      interval, blocks, "1", method))
    return {"results": results, "tables": {"rates": bursts.rates(done, "virsh")}, "notes": [
        "order seed %d; both on one libvirt daemon of an ordinary user; the loops look once a "
        "second whether the guest has said something" % seed],
        "details": {"seed": seed, "target": lives.target_of(outcome), "blocks": done}}
