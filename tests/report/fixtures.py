# SPDX-License-Identifier: MIT
"""Result documents to make reports of: a burst of 800 VMs, migrations, native against VM, a run in which
everything failed, an empty one, a hostile one. fixtures.py BASE SCHEMA DIRECTORY writes them there, from
a small valid document and the schema that says which members there are."""
import copy
import json
import pathlib
import random
import sys

HOSTILE = ['<script>alert(1)</script>', '"><img src="http://example.com/a.png" onerror=alert(2)>', "'); DROP TABLE run; --",
           '</title></style></svg><b id="injected">', 'a|b|c\n# not a heading', '‮evil‬\u2066x\u2069',
           'x' * 5000, '&lt;&amp;', '\u0001\u001b[31mred', 'Grüße, 世界 🦆', '$(reboot)', '`reboot`',
           'javascript:alert(3)', '[click](http://example.com/)', '--><!--', ']]>']


class Maker:
    def __init__(self, base, schema):
        self.base = base
        self.columns = base["steps"][0]["samples"]["columns"]
        self.step_members = schema["$defs"]["step"]["properties"] if "step" in schema.get("$defs", {}) else {}
        self.random = random.Random(7)

    def document(self):
        document = copy.deepcopy(self.base)
        document["steps"] = []
        document["skipped"] = []
        document["notes"] = []
        return document

    def step(self, index, benchmark, params, state="done", why=None):
        step = copy.deepcopy(self.base["steps"][0])
        step.update(index=index, benchmark=benchmark, params=params, state=state, why=why, targets=[0],
                    metrics=[], replicates=[], counts=counts(0, 0, 0))
        step["samples"]["rows"] = []
        if "comparisons" in step:
            step["comparisons"] = []
        return step

    def row(self, step, metric, value, *, replicate=0, side="vm", vm=None, status="ok", t=0, seq=0,
            intended=0, why=None):
        known = dict(replicate=replicate, attempt=1, side=side, vm=vm, metric=metric, status=status,
                     value=value if status == "ok" else None, t_ns=int(t * 1e9), seq=seq,
                     intended_ns=int(intended * 1e9), error_ns=0, counted=True, why=why)
        step["samples"]["rows"].append([known[name] for name in self.columns])

    def metric(self, step, name, unit="s", better="lower", side="vm", goal=None, doc="What it says",
               advice=None):
        """Reduces the rows that the step has by now."""
        at = {name: i for i, name in enumerate(self.columns)}
        rows = [r for r in step["samples"]["rows"] if r[at["metric"]] == name and r[at["side"]] == side]
        values = sorted(r[at["value"]] for r in rows if r[at["status"]] == "ok")
        n = len(values)
        half = max(1, int(0.98 * n ** 0.5)) if n else 0
        made = copy.deepcopy(self.base["steps"][0]["metrics"][0])
        made.update(
            name=name, unit=unit, better=better, side=side, doc=doc, n=n, advice=advice,
            counts=counts(n, sum(r[at["status"]] == "failed" for r in rows),
                          sum(r[at["status"]] == "timed_out" for r in rows)),
            value=values[n // 2] if n else None, interval=None, interval_why=None if n >= 6 else
            f"n too small ({n} < 6)", coverage=None, min=values[0] if n else None, max=values[-1] if n else None,
            p95={"value": values[int(0.97 * n)], "why": None} if n >= 59 else
            {"value": None, "why": f"n too small ({n} < 59)"},
            p99={"value": values[-1], "why": None} if n >= 299 else
            {"value": None, "why": f"n too small ({n} < 299)"},
            goal={"pass": goal[0], "acceptable": goal[1]} if goal else None, verdict="none", verdict_why=None)
        if n >= 6:
            made["interval"] = [values[max(0, n // 2 - half)], values[min(n - 1, n // 2 + half)]]
            made["coverage"] = 0.95
        if goal:
            low, high = made["interval"] or [made["min"] or 0, made["max"] or 0]
            def within(limit):
                return [x <= limit if better == "lower" else x >= limit for x in (low, high)]
            limit = goal[1] if goal[1] is not None else goal[0]
            made["verdict"] = ("needs optimization" if not n or not any(within(limit)) else
                               "pass" if all(within(goal[0])) else
                               "acceptable" if all(within(limit)) else "inconclusive")
        step["metrics"].append(made)
        return made


def counts(succeeded, failed, timed_out):
    return {"attempted": succeeded + failed + timed_out, "succeeded": succeeded, "failed": failed,
            "timed_out": timed_out}


def density(make, vms=800):
    document = make.document()
    step = make.step(0, "density", {"count": vms, "guest": "stub", "rate": 40})
    draw = make.random
    names = ["create.api", "start.api", "start.running", "start.first", "start.ready", "stop.gone",
             "delete.api", "delete.gone", "total", "queue"]
    for vm in range(1, vms + 1):
        intended = 100 + vm / 40
        failed = vm % 97 == 0
        late = intended
        for name in names:
            took = draw.lognormvariate(-2.2, 0.35) * (1 + vm / 600)
            late += took
            lost = failed and name in ("start.ready", "stop.gone", "total")
            make.row(step, "density." + name, late - intended, vm=vm, t=late, intended=intended,
                     status=("timed_out" if vm % 2 else "failed") if lost else "ok",
                     why=None if not lost or vm % 2 else "qemu-system-x86_64: cannot set up guest memory 'pc.ram': "
                     "Cannot allocate memory")
    for name in names:
        make.metric(step, "density." + name, goal={"start.ready": (1.0, 2.0), "start.running": (0.4, None),
                                                   "create.api": (1.0, None)}.get(name),
                    doc=f"From the intended start to {name}")
    for second in range(120):
        make.row(step, "density.host.cpu", min(1.0, 0.05 + second / 40 if second < 40 else 1.2 - second / 110),
                 t=100 + second * 0.5, seq=second)
        make.row(step, "density.host.memory", 3e9 + 12e9 * min(1, second / 50), t=100 + second * 0.5, seq=second)
    make.metric(step, "density.host.cpu", unit="1", doc="Share of the host's CPUs in use")
    make.metric(step, "density.host.memory", unit="B", doc="Memory of the host in use")
    step["counts"] = counts(vms - vms // 97, vms // 194, vms // 97 - vms // 194)
    document["steps"] = [step]
    return document


def migration(make):
    document = make.document()
    step = make.step(0, "migration", {"memory": "1GiB", "mode": "precopy", "direction": "both"})
    for i in range(24):
        stun = make.random.lognormvariate(-6, 0.5)
        for name, value in (("downtime.reported", max(0.001, round(stun * 0.6, 3))), ("stun.observed", stun),
                            ("stun.floor", 0.0004), ("duration", 4 + i % 5), ("moved", 1.1e9 + i * 1e7),
                            ("rate", 2.4e8), ("iterations", 4 + i % 3)):
            lost = i == 11 and name != "stun.floor"
            make.row(step, "migration." + name, value, replicate=i, vm=i + 1, t=50 + i * 9,
                     status="failed" if lost else "ok", why="the destination went away" if lost and
                     "why" in make.columns else None)
    for name, unit, goal in (("downtime.reported", "s", (0.1, 0.2)), ("stun.observed", "s", (0.002, 0.005)),
                             ("stun.floor", "s", None), ("duration", "s", (30, None)), ("moved", "B", None),
                             ("rate", "B/s", None), ("iterations", "1", None)):
        make.metric(step, "migration." + name, unit=unit, goal=goal)
    step["counts"] = counts(23, 1, 0)
    document["steps"] = [step]
    return document


def native(make):
    """VM against native, a against b: two sides in one figure, and comparisons where the schema has them."""
    document = make.document()
    step = make.step(0, "cpu", {"threads": 1})
    for i in range(30):
        base = make.random.gauss(1000, 12)
        make.row(step, "cpu.rate", base, replicate=i, side="native", t=i)
        make.row(step, "cpu.rate", base * make.random.gauss(0.97, 0.006), replicate=i, side="vm", t=i + 0.5)
    for side in ("vm", "native"):
        make.metric(step, "cpu.rate", unit="1/s", better="higher", side=side, goal=(900, None) if side == "vm"
                    else None, doc="Prime numbers tests in a second")
    step["counts"] = counts(60, 0, 0)
    document["steps"] = [step]
    if "comparisons" in make.step_members:
        def one(name, value, interval, goal, verdict, of="overhead", a="native", b="vm", why=None):
            return {"name": name, "metric": "cpu.rate", "a": a, "b": b, "of": of, "unit": "1", "better": "lower",
                    "method": "Hodges-Lehmann of pairs", "n": 30, "value": value, "interval": interval,
                    "interval_why": None if interval else "n too small (3 < 6)", "level": 0.95,
                    "p": 0.0004 if interval else None, "goal": goal, "verdict": verdict, "verdict_why": why}
        step["comparisons"] = [
            one("cpu.rate.overhead", 0.031, [0.028, 0.034], {"pass": 0.03, "acceptable": 0.05}, "acceptable"),
            one("cpu.latency.overhead", 0.004, [-0.003, 0.011], {"pass": 0.05, "acceptable": None}, "pass"),
            one("cpu.cache.overhead", 0.12, [0.09, 0.16], {"pass": 0.03, "acceptable": 0.05}, "needs optimization"),
            one("cpu.rate.ratio", 1.018, None, None, "none", of="ratio", a="a", b="b")]
    return document


def failed(make):
    document = make.document()
    document["run"]["state"] = "failed"
    step = make.step(0, "lifecycle", {"concurrency": 4}, "failed", "no VM of 10 came up")
    for i in range(10):
        make.row(step, "lifecycle.start.ready", None, replicate=i, vm=i + 1, t=i,
                 status="timed_out" if i % 2 else "failed", why="the agent did not answer in 120 s"
                 if "why" in make.columns else None)
    make.metric(step, "lifecycle.start.ready", goal=(60, 120))
    step["counts"] = counts(0, 5, 5)
    step["replicates"] = [{**make.base["steps"][0]["replicates"][0], "replicate": i, "attempt": 1, "side": "vm",
                           "state": "failed", "counts": counts(0, 1, 0), "why": "the VM did not start"}
                          for i in range(10)]
    lost = make.step(1, "lifecycle", {"concurrency": 8}, "lost", "the worker died of signal 11")
    left = make.step(2, "density", {}, "skipped", "density needs 40 GB of memory, 24 GB are there")
    document["steps"] = [step, lost, left]
    document["skipped"] = [{"step": 2, "benchmark": "density", "metric": None, "target": None,
                            "why": "density needs 40 GB of memory, 24 GB are there", "fix": "lower density.count"}]
    return document


def empty(make):
    document = make.document()
    document.update(targets=[], proposals=[])
    document["run"].update(state="interrupted", ended=None, novacore=None)
    document["where"] = document["what"] = {"hash": "", "facts": {}}
    return document


def hostile(make):
    document = make.document()
    document["run"]["profile"] = HOSTILE[0]
    document["notes"] = HOSTILE
    for i, text in enumerate(HOSTILE):
        document["what"]["facts"][text[:200]] = text
        step = make.step(i, text, {text: text}, "done", None)
        for vm in range(8):
            make.row(step, text, 10.0 ** make.random.randint(-290, 290), vm=vm, t=vm, seq=vm, replicate=vm,
                     status="failed" if vm == 7 else "ok", why=text if "why" in make.columns and vm == 7 else None)
        make.metric(step, text, unit="B", goal=(1e308, None), doc=text, advice=text)
        document["steps"].append(step)
        document["skipped"].append({"step": None, "benchmark": text, "metric": text, "target": text, "why": text,
                                    "fix": text})
    document["proposals"] = [{"slug": HOSTILE[0], "why": HOSTILE[1]}]
    return document


def main():
    base, schema, directory = sys.argv[1:]
    make = Maker(json.load(open(base)), json.load(open(schema)))
    for build in (density, migration, native, failed, empty, hostile):
        path = pathlib.Path(directory, build.__name__ + ".json")
        path.write_text(json.dumps(build(make)))
        print(path)


if __name__ == "__main__":
    main()
