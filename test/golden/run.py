#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the build made with what is written down beside this script.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

exports.txt    the symbols that the library and the archive show
fast_path.tsv  the instructions that malloc and free may execute

A difference is either a mistake in the library, or a decision, which changes
the file here and is then seen in review.
"""
import csv
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "start"))

from workshop import SKIPPED, main  # noqa: E402

ROOT = HERE.parent.parent
PACKAGES = ["gcc", "libc6-dev", "binutils", "clang", "cmake", "make"]
# What the C library keeps for all libraries that are loaded later.
TLS_BYTES_MAX = 512


# -- symbols --

def expected_exports():
    return set((HERE / "exports.txt").read_text(encoding="utf-8").split())


def expect_exports(shop, what, names):
    wanted = expected_exports()
    shop.expect(names == wanted,
                f"{what}: shows {sorted(names - wanted)} too much and lacks "
                f"{sorted(wanted - names)}")


def exports(shop):
    """The shared library shows what is listed, and the table says the same."""
    listing = shop.tool("nm", "-D", "--defined-only", shop.library)
    names = [line.split()[-1].split("@")[0] for line in listing.splitlines()]
    shop.expect(len(names) == len(set(names)), "a name is shown twice")
    expect_exports(shop, shop.library.name, set(names))
    table = (ROOT / "src/table/export.def").read_text(encoding="utf-8")
    rows = re.findall(r"^EXPORT_\w+\((\w+)\)", table, re.MULTILINE)
    expect_exports(shop, "src/table/export.def", set(rows))


def archive_exports(shop):
    """The static archive shows the same, and hides everything else."""
    listing = shop.tool("nm", "-g", "--defined-only", shop.archive)
    names = [line.split()[-1] for line in listing.splitlines()
             if len(line.split()) == 3]
    expect_exports(shop, shop.archive.name, set(names))


def tls_size(shop):
    """Small enough for dlopen, which serves static TLS from a surplus."""
    size = shop.tls_bytes()
    print(f"static TLS: {size} bytes of at most {TLS_BYTES_MAX}")
    shop.expect(0 < size, "no thread-local data found in the library")
    shop.expect(size <= TLS_BYTES_MAX,
                f"static TLS is {size} bytes, more than {TLS_BYTES_MAX}")


# -- the fast path --

def budgets():
    """(call, size) to its row."""
    text = (HERE / "fast_path.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {(row["call"], int(row["size_bytes"])): row
            for row in csv.DictReader(lines, delimiter="\t")}


def measure(shop, library, compiler):
    if platform.machine() != "x86_64":
        shop.skip("instructions are counted on x86-64 only")
        return
    steps = shop.compile("steps", "steps.c", folder=HERE)
    run = shop.run(steps, preload=[library])
    if run.returncode == SKIPPED:
        shop.skip("this machine does not let a program trace another")
        return
    shop.expect(run.returncode == 0, f"steps ended with {run.returncode}: "
                f"{run.stderr.strip()}")
    counts = {}
    for line in run.stdout.splitlines():
        call, size, count = line.split()
        counts[call, int(size)] = int(count)
    rows = budgets()
    shop.expect(counts.keys() == rows.keys(),
                f"measured and listed calls differ: {counts}")
    for key in sorted(counts.keys() & rows.keys()):
        compare(shop, key, counts[key], rows[key], compiler)


def compare(shop, key, count, row, compiler):
    call, size = key
    budget, seen = int(row["budget"]), int(row[compiler])
    print(f"{call:9} {size:6} B: {count:4} instructions, budget {budget}")
    shop.expect(count <= budget, f"{call} of {size} bytes takes {count} "
                f"instructions, budget {budget}")
    if count < seen:
        print(f"    fewer than the {seen} of fast_path.tsv ({compiler}): "
              "write the new figure down")
    elif count > seen:
        print(f"    more than the {seen} of fast_path.tsv ({compiler}): "
              "find out why, or write it down")


def fast_path(shop):
    """The library that was built."""
    measure(shop, shop.library, built_by(shop))


def built_by(shop):
    """The compiler that the library says it was compiled by."""
    comment = shop.tool("readelf", "-p", ".comment", shop.library)
    return "clang" if "clang" in comment else "gcc"


def fast_path_clang(shop):
    """The same sources compiled by clang."""
    if shutil.which("clang") is None:
        shop.skip("clang is not installed")
        return
    folder = shop.build / "golden-clang"
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "CFLAGS")}
    for command in (
            ["cmake", "-S", ROOT, "-B", folder, "-G", "Unix Makefiles",
             "-DCMAKE_C_COMPILER=clang", "-DCMAKE_BUILD_TYPE=Release",
             "-DASHLAR_TESTS=OFF"],
            ["cmake", "--build", folder, "--target", "ashlar"]):
        made = subprocess.run([str(word) for word in command], text=True,
                              capture_output=True, check=False,
                              env=environment)
        if not shop.expect(made.returncode == 0, f"{command[:3]} failed:\n"
                           f"{made.stdout[-800:]}{made.stderr[-2000:]}"):
            return
    library = folder / "libashlar.so"
    comment = shop.tool("readelf", "-p", ".comment", library)
    shop.expect("clang" in comment, f"not compiled by clang: {comment}")
    measure(shop, library, "clang")


SUITES = {
    "exports": exports,
    "archive-exports": archive_exports,
    "tls-size": tls_size,
    "fast-path": fast_path,
    "fast-path-clang": fast_path_clang,
}

if __name__ == "__main__":
    sys.exit(main(SUITES, PACKAGES, "golden"))
