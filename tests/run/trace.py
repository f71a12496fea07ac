# SPDX-License-Identifier: MIT
# Reads a trace as docs/trace.md describes it and checks what every trace must keep. As a module:
# read(PATH, open_ends) -> lines; `open_ends`: how many calls may have begun without an end.
import json, re, sys

COMMON = {"is", "utc", "t_ns", "pid", "thread"}
FIELDS = {
    "trace": {"schema", "novacore", "run"},
    "worker": {"targets"},
    "begin": {"n", "kind", "name"},
    "end": {"n", "kind", "name", "duration_ns", "status"},
    "once": {"n", "kind", "name", "duration_ns", "status"},
    "event": {"vm", "known", "event", "source", "at_ns", "resolution_ns"},
    "late": {"op", "what"},
}
MAY = {
    "trace": set(), "late": {"field"}, "event": {"plugin", "target"},
    "worker": {"step", "benchmark"},
    "begin": {"within", "args", "deadline_ns", "op", "plugin", "target", "vm", "of"},
    "end": {"error", "op", "plugin", "target", "vm", "called_ns", "started_ns", "returned_ns", "timed_out",
            "cancelled", "abandoned", "results", "at_ns", "resolution_ns", "source", "net"},
    "once": {"within", "args", "can", "why", "bytes", "value"},
}


def texts(value):
    if isinstance(value, str):
        yield value
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else []:
        yield from texts(inner)


def read(path, open_ends=0):
    lines, begun, pid = [], {}, None
    with open(path, "rb") as file:
        data = file.read()
    assert data.endswith(b"\n"), "the last line has no end"
    for raw in data.splitlines():
        line = json.loads(raw)
        lines.append(line)
        kind, keys = line["is"], set(line)
        assert COMMON | FIELDS[kind] <= keys, (kind, COMMON | FIELDS[kind] - keys)
        assert keys <= COMMON | FIELDS[kind] | MAY[kind], (kind, keys - COMMON - FIELDS[kind] - MAY[kind])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["utc"]), line["utc"]
        assert all(len(text) <= 1025 for text in texts(line)), "a text is too long"
        if kind == "worker":
            pid = line["pid"]
        elif kind != "trace":
            assert line["pid"] == pid, "two workers are mixed"
        if kind == "begin":
            assert (pid, line["n"]) not in begun, "a number stands twice"
            begun[pid, line["n"]] = line
            assert line["kind"] in ("op", "lab", "plugin")
            if "within" in line:
                assert (pid, line["within"]) in begun, "within a call that has not begun"
        if kind == "end":
            begin = begun.pop((pid, line["n"]), None)
            assert begin and begin["name"] == line["name"] and begin["kind"] == line["kind"], line
            assert line["duration_ns"] >= 0 and line["t_ns"] >= begin["t_ns"], line
    assert lines[0]["is"] == "trace" and lines[0]["schema"] == "novacore.trace/1"
    assert len(begun) <= open_ends, [b["name"] for b in begun.values()]
    return lines


if __name__ == "__main__":
    lines = read(sys.argv[1], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    names = lambda kind, what: [l["name"] for l in lines if l.get("kind") == kind and l["is"] == what]
    result = eval(sys.argv[2])
    assert result is True, (sys.argv[2], result)
