#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_runs.py TEMPLATE OUT KEY=VALUE…: a result document like TEMPLATE (any run's, one step is
taken), with invented samples of known shifts. What it says of itself is real: it is not simulated.

seed=N       of the values, and the run's id        day=N        when it was, in days
n=10         fresh VMs                              cv=0.05      coefficient of variation
scale.M=1.2  factor on the values of metric M       fail.M=3     the first VMs of M fail
native=1     also a native side; scale.native=1.2   revision.M=2 another definition of M
source.M=T   where M's end points come from         accel=tcg    of the target
plugin=kvm   its driver      target=local  its name  cpu=NAME     another host
state=S      of the run                             simulated=1  it is
knob=V       a fact of *what*                       memory=KB    MemTotal
seqs=1       samples of a VM, all alike             zero.M=1     all values are 0
better.M=higher"""
import copy
import datetime
import hashlib
import json
import random
import sys

template, out, *words = sys.argv[1:]
options = dict(word.split("=", 1) for word in words)
result = json.load(open(template, encoding="utf-8"))
seed, count = int(options.get("seed", 1)), int(options.get("n", 10))
cv, day = float(options.get("cv", 0.05)), int(options.get("day", seed))
draw = random.Random(seed)


def option(name, metric, default):
    return options.get(f"{name}.{metric}", default)


def canonical(value):
    """As core/base has it: sorted keys, no blanks, reals of 17 digits that look like reals."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{canonical(value[k])}"
                              for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        digits = f"{value:.17g}"
        return digits if set(digits) & set(".e") else digits + ".0"
    return json.dumps(value, ensure_ascii=False)


def rehash(part):
    part["hash"] = hashlib.sha256(canonical(part["facts"]).encode()).hexdigest()


def stamp(seconds):
    moment = datetime.datetime(2026, 1, 1) + datetime.timedelta(days=day, seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


run, target, step = result["run"], result["targets"][0], result["steps"][0]
result["steps"] = [step]
run["id"] = f"01932b5e-{seed:04x}-7000-8000-{seed:012x}"
run["started"], run["ended"], run["state"] = stamp(0), stamp(60), options.get("state", "complete")
if run["state"] != "complete":
    run["ended"] = None
run["anchor"]["utc_ns"] = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
                              + day * 86400) * 10**9
target["simulated"] = options.get("simulated") == "1"
target["facts"] = {}
target["plugin"], target["accel"] = options.get("plugin", "kvm"), options.get("accel", "kvm")
target["name"] = options.get("target", "local")
facts = result["where"]["facts"]
for name in [name for name in facts if name.startswith("accel.")]:
    del facts[name]
facts["accel." + target["name"]] = target["accel"]
facts["cpu"] = options.get("cpu", "Test CPU")
facts["memory"] = options.get("memory", "24684084") + " kB"
result["what"]["facts"]["knob"] = options.get("knob", "off")
rehash(result["where"])
rehash(result["what"])

columns = step["samples"]["columns"]
row0, replicate0 = step["samples"]["rows"][0], step["replicates"][0]
declared = step["metrics"]
for metric in declared:
    name = metric["name"]
    metric["base"] = metric["value"]
    metric["revision"] = int(option("revision", name, metric["revision"]))
    metric["source"] = option("source", name, metric["source"])
    metric["better"] = option("better", name, metric["better"])
sides = ["vm", "native"] if options.get("native") == "1" else ["vm"]
step["metrics"] = [dict(copy.deepcopy(metric), side=side) for metric in declared for side in sides]
rows, step["replicates"] = [], []
for number in range(count):
    for side in sides:
        step["replicates"].append(dict(copy.deepcopy(replicate0), replicate=number, side=side,
                                       attempt=1, state="done"))
    for metric in step["metrics"]:
        name, native = metric["name"], metric["side"] == "native"
        scale = float(option("scale", name, 1)) if not native else float(option("scale", "native", 1))
        value = metric["base"] * scale * draw.lognormvariate(0, cv)
        if option("zero", name, "0") == "1":
            value = 0.0
        ok = number >= int(option("fail", name, 0)) or native
        for seq in range(int(options.get("seqs", 1))):
            rows.append(dict(zip(columns, copy.deepcopy(row0)), replicate=number, attempt=1,
                             side=metric["side"], vm=None if native else number + 1, metric=name,
                             status="ok" if ok else "failed", value=value if ok else None, seq=seq,
                             counted=True))
for metric in step["metrics"]:
    del metric["base"]
order = [(r["replicate"], r["attempt"], r["side"] != "vm", r["vm"] or 0, r["metric"], r["seq"], i)
         for i, r in enumerate(rows)]
step["samples"]["rows"] = [[rows[key[-1]][column] for column in columns] for key in sorted(order)]
json.dump(result, open(out, "w", encoding="utf-8"), ensure_ascii=False)
print(run["id"])
