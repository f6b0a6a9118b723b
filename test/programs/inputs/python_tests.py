# SPDX-License-Identifier: MIT
"""Runs test modules of Python's own suite and prints every test's outcome.

regrtest prints times and re-runs failures; here each test is one line, so
two runs can be compared, skips included.
"""
import sys
import unittest

import test.support


class Outcomes(unittest.TestResult):
    """Collects one line per test; output of the tests themselves is kept
    away by the runner's caller."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def note(self, test, outcome):
        self.lines.append(f"{test.id()}: {outcome}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, f"skipped ({reason})")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "FAILED")

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "ERROR")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "failed as expected")


def main(names):
    test.support.verbose = 0    # or tests print what they are doing
    outcomes = Outcomes()
    for name in names:
        unittest.defaultTestLoader.loadTestsFromName(
            f"test.{name}").run(outcomes)
    print("\n".join(outcomes.lines))
    print(outcomes.testsRun, "tests run")
    for case, trace in outcomes.failures + outcomes.errors:
        print(case, trace, file=sys.stderr)
    return 0 if outcomes.wasSuccessful() and outcomes.testsRun else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
