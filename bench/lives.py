# SPDX-License-Identifier: MIT
"""Lives of VMs by novacore, for the benchmarks that compare them with something else."""
import json
import os
import re
import subprocess

STAGES = ["create", "running", "first", "rest", "total"]  # rest: power off, delete, and between
BEAT = bytes([0xba, 0xf8, 0x03, 0xb0, 0x2e, 0xee,  # '.' to the first serial port
              0xba, 0xf8, 0x02, 0xee,              # and to the second
              0xfa, 0xf4, 0xeb, 0xfc])             # cli; hlt; jmp to cli


def write_sector(path):
    """A guest that says one byte and sleeps: the shortest life that really ran."""
    with open(path, "wb") as out:
        out.write(BEAT + bytes(510 - len(BEAT)) + b"\x55\xaa")
    os.chmod(path, 0o644)


def novacore(options, home, image, count, extra=(), env=None):
    """One novacore process: a warm-up and `count` VMs. Seconds of each, by stage."""
    output = os.path.join(home, "result.json")
    sets = {"run.shape": "standard", "vm.standard.boot": "stub", "vm.standard.image": image,
            "vm.standard.memory": "16MiB", "run.samples": count, "run.warmup": 1,
            "lifecycle.concurrency": 1, "lifecycle.ready": "false", "lifecycle.first": "true",
            "lifecycle.snapshot": "false"}
    command = [os.path.join(options.build, "novacore"), "--benchmark", "lifecycle", "--plugin",
               "kvm", "--full", "--quiet", "--format", "json", "--output", output]
    for key, value in sets.items():
        command += ["--set", "%s=%s" % (key, value)]
    subprocess.run(command + list(extra), check=True,
                   env=dict(os.environ, NOVACORE_HOME=home, **(env or {})))
    with open(output, encoding="utf-8") as text:
        result = json.load(text)
    return read_samples(result["steps"][0]), result


def read_samples(step):
    columns = step["samples"]["columns"]
    lives = {}
    for row in step["samples"]["rows"]:
        sample = dict(zip(columns, row))
        if sample["status"] == "ok" and sample["counted"]:
            lives.setdefault(sample["replicate"], {})[sample["metric"]] = sample["value"]
    found = []
    for life in lives.values():
        if "lifecycle.total" not in life:
            raise SystemExit("bench: a VM of novacore's did not live to its end")
        one = {"create": life["lifecycle.create.api"],
               "running": life["lifecycle.start.running"],
               "first": life["lifecycle.start.first"], "total": life["lifecycle.total"]}
        one["rest"] = one["total"] - one["create"] - one["first"]
        found.append(one)
    return found


def capture_definition(options, home, image, extra=()):
    return logged_definition(home, lambda env: novacore(options, home, image, 1, extra, env)[1])


def logged_definition(home, run):
    """The very text that the driver hands to libvirt, from libvirt's own debug log. `run` makes a VM
    with the variables that it is given, and returns the result document."""
    log = os.path.join(home, "debug.log")
    result = run({"LIBVIRT_LOG_OUTPUTS": "1:file:" + log, "LIBVIRT_LOG_FILTERS": "1:libvirt"})
    with open(log, encoding="utf-8", errors="replace") as text:
        texts = re.findall(r"virDomainDefineXMLFlags:\d+ : conn=\S+ xml=(.*?</domain>)",
                           text.read(), re.S)
    os.unlink(log)
    if not texts:
        raise SystemExit("bench: libvirt's log does not show the VM's definition")
    return texts[-1], result


def make_template(definition, folder):
    """With @NAME@ and @PORT@ for what differs from VM to VM, and files in `folder`."""
    name = re.search(r"<name>(.*?)</name>", definition).group(1)
    run = re.search(r'file="([^"]*)/%s\.qcow2"' % re.escape(name), definition).group(1)
    text = definition.replace(run + "/" + name, folder + "/" + name).replace(name, "@NAME@")
    return re.sub(r'service="\d+"', 'service="@PORT@"', text)


def target_of(result):
    target = result["targets"][0]
    return {key: target[key] for key in ("product", "version", "accel", "why")}
