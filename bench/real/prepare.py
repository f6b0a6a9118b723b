#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""prepare - what one real program needs: its inputs and its right answers.

    prepare.py WORKLOAD FOLDER

Makes FOLDER whole or not at all. The inputs come from inputs.py, full.EXT and
quick.EXT. The right answers are what the workload's own two commands, as
workloads/real.toml has them, print on glibc; same.sh and redis.py compare
against them.
"""

import os
import shutil
import subprocess
import sys
import tomllib

import inputs

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "..", "workloads", "real.toml")
SECONDS_MAX = 60

# workload: (what writes an input of some size, extension, full, quick size)
INPUTS = {
    "redis-strings": (inputs.redis_strings, "redis", 380, 80),
    "redis-lists": (inputs.redis_lists, "redis", 380, 80),
    "redis-sessions": (inputs.redis_sessions, "redis", 8, 2),
    "sqlite": (inputs.sql, "sql", 60000, 10000),
    "gcc": (inputs.c_source, "c", 12, 2),
    "ghostscript": (inputs.postscript, "ps", 14, 3),
    "z3": (inputs.smt, "smt2", 4, 0),
    "abc": (inputs.pla, "pla", 320, 100),
}


def row_of(workload):
    """The workload's row in the table."""
    with open(TABLE, "rb") as file:
        for row in tomllib.load(file)["workload"]:
            if row["name"] == workload:
                return row
    raise SystemExit(f"prepare.py: {TABLE} has no workload {workload!r}")


def write_inputs(workload, folder):
    write, extension, full, quick = INPUTS[workload]
    for name, size in ("full", full), ("quick", quick):
        with open(os.path.join(folder, f"{name}.{extension}"), "wb") as file:
            for piece in write(size):
                file.write(piece if isinstance(piece, bytes)
                           else piece.encode())


def build_stand_in(folder):
    """What redis-server is to find in place of libjemalloc."""
    name = "libjemalloc.so.2"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-Wl,-soname,{name}",
                    "-o", os.path.join(folder, name),
                    os.path.join(HERE, "nojemalloc.c")],
                   check=True, timeout=SECONDS_MAX)


def write_expected(command, data):
    """Run what the workload runs, but on glibc, and keep what it prints."""
    tool, *words = [
        word.replace("{data}", data).replace("{bench}", os.path.dirname(HERE))
        for word in command]
    if os.path.basename(tool) == "redis.py":
        requests, expected = words
        command = [tool, requests]
    else:
        expected, *command = words      # same.sh's
        command = ["env", *command]
    with open(expected, "wb") as file:
        subprocess.run(command, stdout=file, check=True, timeout=SECONDS_MAX,
                       env=dict(os.environ, LD_PRELOAD="", BENCH_PRELOAD=""))


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: prepare.py WORKLOAD FOLDER")
    workload, folder = sys.argv[1], os.path.abspath(sys.argv[2])
    row = row_of(workload)
    if os.path.basename(folder) != workload:
        raise SystemExit(f"prepare.py: {folder} must be called {workload}")
    if os.path.exists(folder):
        raise SystemExit(f"prepare.py: there is {folder} already; remove it")
    os.makedirs(folder)
    try:
        if workload in INPUTS:
            write_inputs(workload, folder)
        if workload.startswith("redis-"):
            build_stand_in(folder)
        for command in row["command"], row["quick"]:
            write_expected(command, os.path.dirname(folder))
    except BaseException as error:
        shutil.rmtree(folder)   # half of it would pass for the whole
        what = type(error).__name__
        raise SystemExit(f"prepare.py: {what}: {error}") from error


if __name__ == "__main__":
    main()
