#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the benchmark: what it computes, what it says, that it runs.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

A suite NAME is the file NAME_test.py beside this script.
"""
import argparse
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = sorted(file.stem.removesuffix("_test")
                for file in HERE.glob("*_test.py"))
PACKAGES = ["gcc", "libc6-dev", "python3"]


def main():
    parser = argparse.ArgumentParser(description="Tests the benchmark.")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--lib")
    parser.add_argument("--build")
    parser.add_argument("--suite", choices=SUITES)
    options = parser.parse_args()
    if options.list or options.packages:
        print("\n".join(SUITES if options.list else PACKAGES))
        return 0
    if not options.lib or not options.build:
        parser.error("--lib and --build are needed")
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "bench")]
    unittest.TestCase.library = Path(options.lib).resolve()
    unittest.TestCase.build = Path(options.build).resolve()
    chosen = [options.suite] if options.suite else SUITES
    suite = unittest.defaultTestLoader.loadTestsFromNames(
        [f"{name}_test" for name in chosen])
    if suite.countTestCases() == 0:
        sys.exit("there is no test in it")
    ended = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if ended.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
