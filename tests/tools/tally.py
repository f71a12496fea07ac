#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads JUnit reports (one a phase), prints each test with its time, then what failed, which skips
are not allowed, and as the last line "N passed, N failed, N skipped". Exits 1 on a failure, on a
skip that the allowed list does not name, and when nothing ran at all."""
import argparse
import os
import re
import sys
import xml.etree.ElementTree as xml


def allowed_skips(path):
    """[(pattern, reason)]; a line without a reason is itself an error."""
    rules = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, _, reason = line.partition(" ")
            if not reason.strip():
                sys.exit("%s:%d: %s: no reason given" % (path, number, name))
            rules.append((name, reason.strip()))
    return rules


def why_skipped(case):
    """The last line that the test printed: a skip prints its reason."""
    lines = [line for line in (case.findtext("system-out") or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason printed"


def verdict_of(case):
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        # ctest says "notrun" of a missing executable too: that is a failure, not a skip
        message = (case.find("skipped").get("message", "") if case.find("skipped") is not None
                   else "")
        if "SKIP_RETURN_CODE" in message or "SKIP_REGULAR_EXPRESSION" in message:
            return "skipped"
        return "failed"
    if case.find("failure") is not None or case.get("status") in ("fail", "failed"):
        return "failed"
    return "passed"


def read(paths):
    for path in paths:
        phase = os.path.splitext(os.path.basename(path))[0]
        try:
            tree = xml.parse(path)
        except (OSError, xml.ParseError) as why:
            yield phase, "the report itself (%s)" % why, "failed", 0.0, ""
            continue
        for case in tree.iter("testcase"):
            yield (phase, case.get("name"), verdict_of(case), float(case.get("time") or 0),
                   why_skipped(case))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--allowed", required=True)
    arguments.add_argument("reports", nargs="*")
    options = arguments.parse_args()
    rules = allowed_skips(options.allowed)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures, unexpected = [], []
    for phase, name, verdict, seconds, reason in sorted(read(options.reports),
                                                        key=lambda test: -test[3]):
        counts[verdict] += 1
        print("%8.1f s  %-8s %-12s %s" % (seconds, verdict, phase, name))
        if verdict == "failed":
            failures.append("%s: %s" % (phase, name))
        if verdict == "skipped":
            rule = next((why for pattern, why in rules if re.fullmatch(pattern, name)), None)
            print("%23s%s" % ("", reason))
            if rule is None:
                unexpected.append("%s: %s: %s" % (phase, name, reason))
    for failure in failures:
        print("failed: " + failure)
    for skip in unexpected:
        print("skipped and not in %s: %s" % (options.allowed, skip))
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return bool(failures or unexpected or not counts["passed"])


if __name__ == "__main__":
    sys.exit(main())
