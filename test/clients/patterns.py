#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""patterns - programs that do as one known client does, on both libraries.

    patterns.py --list
    patterns.py --lib LIBRARY --build FOLDER [--suite NAME] [--ours DROP-IN]
                [--quantum 8]

Each program of patterns/ must end well on Debian's library, or it asks for
what jemalloc does not give; and on the drop-in of the build. With a build of
quantum 8, which Debian's is not, on ours alone. Exit status 0: so it was; 1:
not so; 77: Debian's library is not installed.
"""
import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "contract"))

from pair import (  # noqa: E402
    DROP_IN, SKIPPED, THEIRS, compile_program, run_program)

SOURCES = {path.stem: path
           for path in sorted((HERE / "patterns").glob("*.c"))}


def run_pattern(name, libraries, folder, quantum):
    """Whether it ended well on each."""
    program = compile_program(SOURCES[name], folder)
    passed = True
    for whose, library in libraries.items():
        run = run_program(program, library, quantum)
        if run.returncode != 0:
            print(f"{name}: FAILED on {whose} ({library}): ended with "
                  f"{run.returncode}: {run.stderr.strip()[-800:]}")
            passed = False
    if passed:
        print(f"{name}: as its client needs it, on {' and '.join(libraries)}")
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--suite", choices=list(SOURCES))
    parser.add_argument("--lib", type=Path)
    parser.add_argument("--build", type=Path)
    parser.add_argument("--ours", type=Path)
    parser.add_argument("--quantum", type=int, choices=[8, 16], default=16)
    options = parser.parse_args()
    if options.list:
        print("\n".join(SOURCES))
        return 0
    if not options.build:
        parser.error("--build is needed to run a pattern")
    build = options.build.resolve()
    libraries = {"ours": options.ours or build / DROP_IN}
    if options.quantum == 16:
        libraries["Debian's"] = THEIRS
        if not THEIRS.exists():
            print(f"SKIPPED: there is no {THEIRS} (package libjemalloc2)")
            return SKIPPED
    names = [options.suite] if options.suite else list(SOURCES)
    passed = [run_pattern(name, libraries, build / "test" / "patterns",
                          options.quantum)
              for name in names]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
