# SPDX-License-Identifier: MIT
"""pair - programs that are run on two libraries, and what they say compared.

The programs are linked with no allocator and leave jemalloc's functions
undefined; a library is preloaded into each run. "Theirs" is Debian's
libjemalloc.so.2, "ours" the drop-in that the build made.

A program prints lines "what was done <tab> what came of it". The same program
must say the same on both libraries, but for what differences.tsv lists, with
the reason. A difference that is not listed fails, and so does a row of the list
that nothing needs any more.
"""
import fcntl
import os
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
THEIRS = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
DROP_IN = "jemalloc/libjemalloc.so.2"
SKIPPED = 77
TIMEOUT_S = 50

COMPILE = ["gcc", "-std=gnu11", "-O1", "-g", "-fPIC", "-pie", "-fno-builtin",
           "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pthread"]
# Undefined on purpose, and looked up at the first call: a function that a
# library lacks ends the program there, not at its start. What the program
# defines itself (malloc_conf) is shown to the library.
LINK = ["-Wl,--unresolved-symbols=ignore-all", "-Wl,-z,lazy", "-rdynamic"]


class Difference(NamedTuple):
    """One row of differences.tsv; patterns in the manner of a shell."""
    suite: str
    what: str
    ours: str
    theirs: str
    reason: str

    def covers(self, what, ours, theirs):
        return (fnmatchcase(what, self.what) and fnmatchcase(ours, self.ours)
                and fnmatchcase(theirs, self.theirs))


def read_table(path):
    """The rows of a .tsv file, each a list; without comments and the head."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines()
             if line and not line.startswith("#")]
    return [line.split("\t") for line in lines[1:]]


def read_differences(suite):
    rows = [Difference(*row)
            for row in read_table(HERE / "differences.tsv")]
    return [row for row in rows if row.suite == suite]


# -- programs --

def compile_program(source, folder):
    """Compiles a C file, unless that is done; suites may do so at once."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.stem
    headers = [HERE / "contract.h", *source.parent.glob("*.h")]
    newest = max(path.stat().st_mtime for path in [source, *headers])
    with open(f"{target}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists() and target.stat().st_mtime > newest:
            return target
        command = [*COMPILE, "-I", str(HERE), str(source), *LINK, "-o",
                   f"{target}.new"]
        made = subprocess.run(command, text=True, capture_output=True,
                              check=False)
        if made.returncode != 0:
            raise SystemExit(f"FAILED: {source.name} does not compile\n"
                             f"{made.stderr[-3000:]}")
        os.replace(f"{target}.new", target)
    return target


def run_program(program, library, *arguments, text="", conf=None):
    """How the program ended on a library, and what it wrote."""
    environment = {"LD_PRELOAD": str(library), "PATH": "/usr/bin:/bin",
                   "LC_ALL": "C"}
    if conf is not None:
        environment["MALLOC_CONF"] = conf
    try:
        return subprocess.run(
            [str(program), *map(str, arguments)], input=text, text=True,
            env=environment, capture_output=True, check=False,
            timeout=TIMEOUT_S, errors="backslashreplace")
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(
            late.cmd, 124, decoded(late.stdout), "not finished after "
            f"{TIMEOUT_S} s")


def decoded(output):
    return output.decode(errors="replace") if output else ""


def lines_of(run):
    """(what, result) pairs; the ending is one more, where it is not good."""
    pairs = [tuple(line.split("\t", 1)) for line in run.stdout.splitlines()
             if "\t" in line]
    if run.returncode != 0:
        pairs.append(("the program's end", f"{run.returncode} "
                      + run.stderr.strip()[-300:].replace("\n", " | ")))
    return pairs


# -- comparing --

def numbered(pairs):
    """A dictionary, in which a thing done again is another thing."""
    counts, found = {}, {}
    for what, result in pairs:
        counts[what] = counts.get(what, 0) + 1
        key = what if counts[what] == 1 else f"{what} ({counts[what]})"
        found[key] = result
    return found


class Verdict:
    """The lines of two libraries, against the list of known differences."""

    def __init__(self, suite, ours, theirs, known):
        self.suite = suite
        self.compared = 0
        self.unexpected = []
        self.used = {row: 0 for row in known}
        self.compare(numbered(ours), numbered(theirs))
        self.stale = [row for row, count in self.used.items() if count == 0]

    def compare(self, ours, theirs):
        for what in [*theirs, *(what for what in ours if what not in theirs)]:
            left = ours.get(what, "(nothing)")
            right = theirs.get(what, "(nothing)")
            self.compared += 1
            if left == right:
                continue
            row = next((row for row in self.used
                        if row.covers(what, left, right)), None)
            if row:
                self.used[row] += 1
            else:
                self.unexpected.append((what, left, right))

    def report(self, shown_max):
        """Prints it; the exit status."""
        for what, ours, theirs in self.unexpected[:shown_max]:
            print(f"DIFFERS: {self.suite}: {what}: ours: {ours} | "
                  f"theirs: {theirs}")
        if len(self.unexpected) > shown_max:
            print(f"... and {len(self.unexpected) - shown_max} more")
        for row in self.stale:
            print(f"NO LONGER DIFFERS: {row.suite}: {row.what}: take the row "
                  f"out of differences.tsv ({row.reason})")
        if self.compared == 0:
            print(f"{self.suite}: the program said nothing")
        expected = sum(self.used.values())
        print(f"{self.suite}: {self.compared} answers compared, "
              f"{expected} differ as listed, {len(self.unexpected)} "
              f"unexpectedly, {len(self.stale)} rows are stale")
        return int(bool(self.unexpected or self.stale or not self.compared))
