#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tally.py counts what ctest and rerun.py write, and lets nothing slip."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

PASSED = '<testcase name="good" time="1.5" status="run"><system-out>fine</system-out></testcase>'
FAILED = '<testcase name="bad" time="0" status="fail"><failure message=""/></testcase>'
SKIPPED = ('<testcase name="absent" time="0" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
           '<system-out>\nno /dev/kvm here\n</system-out></testcase>')
MISSING = ('<testcase name="gone" time="0" status="notrun">'
           '<skipped message="Unable to find executable: x"/></testcase>')
DISABLED = '<testcase name="off" time="0" status="disabled"/>'


def tally(*cases, allowed=""):
    with tempfile.TemporaryDirectory() as folder:
        report, rules = os.path.join(folder, "quick.xml"), os.path.join(folder, "allowed")
        with open(report, "w", encoding="utf-8") as out:
            out.write("<testsuite>%s</testsuite>" % "".join(cases) if cases != ("broken",)
                      else "<testsuite>")
        with open(rules, "w", encoding="utf-8") as out:
            out.write(allowed)
        done = subprocess.run([sys.executable, HERE + "/tally.py", "--allowed", rules, report],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        return done.returncode, done.stdout.splitlines()


class Tally(unittest.TestCase):
    def test_ends_with_the_counts(self):
        self.assertEqual(tally(PASSED)[0], 0)
        self.assertEqual(tally(PASSED)[1][-1], "1 passed, 0 failed, 0 skipped")

    def test_fails_on_a_failure_and_names_it(self):
        code, lines = tally(PASSED, FAILED)
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("failed: quick: bad", lines)

    def test_fails_on_a_skip_that_is_not_allowed_and_tells_its_reason(self):
        code, lines = tally(PASSED, SKIPPED)
        self.assertEqual((code, lines[-1]), (1, "1 passed, 0 failed, 1 skipped"))
        self.assertTrue(any("no /dev/kvm here" in line for line in lines))

    def test_passes_with_an_allowed_skip(self):
        code, lines = tally(PASSED, SKIPPED, allowed="# why\nabs.* needs a device\n")
        self.assertEqual((code, lines[-1]), (0, "1 passed, 0 failed, 1 skipped"))

    def test_allows_a_skip_by_its_whole_name_only(self):
        self.assertEqual(tally(PASSED, SKIPPED, allowed="abs needs a device\n")[0], 1)

    def test_refuses_an_allowed_skip_without_a_reason(self):
        self.assertEqual(tally(PASSED, allowed="absent\n")[0], 1)

    def test_counts_a_missing_executable_and_a_disabled_test_as_failures(self):
        for case in (MISSING, DISABLED):
            code, lines = tally(PASSED, case)
            self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_counts_a_broken_report_as_a_failure(self):
        self.assertEqual(tally("broken")[1][-1], "0 passed, 1 failed, 0 skipped")

    def test_fails_when_nothing_ran(self):
        self.assertEqual(tally()[0], 1)


if __name__ == "__main__":
    unittest.main()
