#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests of a build tree again, each with a prefix (valgrind, tests/as-user), and writes a
JUnit report. ctest itself knows no prefix, and would want to write into the tree."""
import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time
from xml.sax.saxutils import escape, quoteattr


def properties(test):
    return {item["name"]: item["value"] for item in test.get("properties", [])}


def select(tree, labels, wanted, unwanted, regex):
    """Name, command and properties; those that take longest (COST) first, so that nothing waits for them at the end."""
    listing = subprocess.run(["ctest", "--test-dir", tree, "--show-only=json-v1"], check=True,
                             stdout=subprocess.PIPE).stdout
    chosen = []
    for test in json.loads(listing)["tests"]:
        props = properties(test)
        own = set(props.get("LABELS", []))
        if labels & own and wanted <= own and not unwanted & own and re.search(regex, test["name"]):
            chosen.append((test["name"], test.get("command", []), props))
    return sorted(chosen, key=lambda test: -float(test[2].get("COST", 0)))


def run(prefix, slower, name, command, props):
    began = time.monotonic()
    environment = dict(os.environ)
    for assignment in props.get("ENVIRONMENT", []):
        key, _, value = assignment.partition("=")
        environment[key] = value
    status, output = "not run", b""
    try:
        # a session of its own, so that what a test leaves when its time is up can be ended with it
        child = subprocess.Popen(prefix + command, cwd=props.get("WORKING_DIRECTORY"),
                                 env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output = child.communicate(timeout=slower * float(props.get("TIMEOUT", 60)))[0]
            status = child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            status, output = "timeout", child.communicate()[0]
    except OSError as why:
        output = str(why).encode()
    text = "".join(c if c.isprintable() or c in "\n\t" else "?"
                   for c in output.decode("utf-8", "replace"))
    if status == props.get("SKIP_RETURN_CODE", 77):
        verdict = "skipped"
    else:
        verdict = "passed" if status == 0 else "failed"
    return name, verdict, time.monotonic() - began, text, status


def case(result):
    name, verdict, seconds, text, status = result
    body = {"passed": "", "skipped": '<skipped message="SKIP_RETURN_CODE"/>',
            "failed": "<failure message=%s/>" % quoteattr(str(status))}[verdict]
    return ('<testcase name=%s time="%.3f" status="%s">%s<system-out>%s</system-out></testcase>'
            % (quoteattr(name), seconds, verdict, body, escape(text)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tree", required=True)
    arguments.add_argument("--label", required=True, action="append")
    arguments.add_argument("--with", dest="wanted", default=[], action="append", help="that has this label, too")
    arguments.add_argument("--without", dest="unwanted", default=[], action="append", help="and not that one")
    arguments.add_argument("--regex", default="")
    arguments.add_argument("--jobs", type=int, default=1)
    arguments.add_argument("--slower", type=float, default=3, help="times the test's time limit")
    arguments.add_argument("--junit", required=True)
    arguments.add_argument("prefix", nargs="+")
    options = arguments.parse_args()
    prefix = list(options.prefix)
    prefix[0] = os.path.abspath(prefix[0]) if "/" in prefix[0] else prefix[0]
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = [pool.submit(run, prefix, options.slower, *test)
                   for test in select(options.tree, set(options.label), set(options.wanted), set(options.unwanted),
                                      options.regex)]
        for future in concurrent.futures.as_completed(waiting):
            name, verdict, seconds, text, status = future.result()
            results.append((name, verdict, seconds, text, status))
            print("%-8s %6.1f s  %s" % (verdict, seconds, name), flush=True)
            if verdict != "passed":
                print(text, "exit status:", status, flush=True)
    with open(options.junit, "w", encoding="utf-8") as report:
        report.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuite tests="%d">\n%s\n</testsuite>\n'
                     % (len(results), "\n".join(case(result) for result in sorted(results))))
    return any(result[1] == "failed" for result in results)


if __name__ == "__main__":
    sys.exit(main())
