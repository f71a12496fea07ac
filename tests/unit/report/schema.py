#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""schema.py RENDER SCHEMA RESULT: the published schema, our own check of imports and what we print
must agree. Every member of a good result is removed, retyped and accompanied by a stranger, and
both checkers are asked."""
import copy
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

render, schema_path, result_path = sys.argv[1:]
schema = json.load(open(schema_path, encoding="utf-8"))
result = json.load(open(result_path, encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
WRONG = [None, True, -1, 1.5, "stranger", [], {"stranger": 1}]

TIMES = ["1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z", "2199-12-31T23:59:59.999Z",
         "2200-01-01T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-00-01T00:00:00.000Z",
         "2026-01-32T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:60:00.000Z",
         "2026-01-01T00:00:60.000Z", "2026-01-01T00:00:00.00Z", "2026-01-01T00:00:00.000Z "]


def run(*arguments, text):
    done = subprocess.run([render, *arguments], input=text, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def places(node, path=()):
    """Every place in the document below which something can be changed."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def changed(path, change):
    document = copy.deepcopy(result)
    node = document
    for key in path[:-1]:
        node = node[key]
    change(node, path[-1])
    return document


def mutants():
    yield "untouched", result
    for path in list(places(result)):
        # the later metrics and steps are like the first
        if len(path) > 3 and (path[1] == 1 or path[2] == "metrics" and path[3] > 1):
            continue
        yield f"{path} removed", changed(path, lambda node, key: node.pop(key))
        for wrong in TIMES if path[-1] in ("started", "ended") else WRONG:
            yield (f"{path} = {wrong!r}",
                   changed(path, lambda node, key: node.__setitem__(key, wrong)))
        yield (f"{path} with a stranger",
               changed(path, lambda node, key: isinstance(node, dict)
                       and node.__setitem__("stranger", 1)))


def beyond_the_schema(said):
    """What JSON Schema cannot say: references, and values that belong together."""
    return ("names a target that is not there" in said or "value without being ok" in said
            or "ends before it begins" in said)


names, documents = zip(*mutants())
said = run("check", text="".join(json.dumps(d) + "\n" for d in documents)).splitlines()
assert len(said) == len(documents)
accepted = 0
for name, document, verdict in zip(names, documents, said):
    valid = validator.is_valid(document)
    accepted += valid
    if valid != (verdict == "ok") and not (valid and beyond_the_schema(verdict)):
        sys.exit(f"{name}: schema says {valid}, we say: {verdict}")
assert 50 < accepted < len(documents) / 2, accepted
print(f"{len(documents)} documents, {accepted} valid: both checks agree")

text = json.dumps(result)
assert json.loads(run("json", text=text)) == result
validator.validate(json.loads(run("json", text=text)))

evil = copy.deepcopy(result)
evil["steps"][2]["why"] = "<a b=\"c\"> & ' ]]> \x01\x1b[31m \ud7ff \ufffe \U0001f600 \x7f\n\ttab"
evil["targets"][0]["name"] = "\"><failure/>"
for document in (result, evil):
    suites = ElementTree.fromstring(run("junit", text=json.dumps(document)))
    assert [len(s) for s in suites] == [int(s.get("tests")) for s in suites]
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        found = sum(1 for _ in suites.iter(tag))
        assert found == sum(int(s.get(attribute)) for s in suites), tag
    assert sum(1 for _ in suites.iter("failure")) == 2
suite = suites.find("testsuite")
assert suite.get("name") == 'lifecycle on "><failure/>', suite.get("name")
error = next(suites.iter("error")).get("message")
assert "<a b=\"c\"> & ' ]]> \ufffd\ufffd[31m" in error and "\U0001f600" in error, error
