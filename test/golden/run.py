#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the build made with what is written down beside this script.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

exports.txt    the symbols that the libraries and the archive show
fast_path.tsv  the instructions that malloc, free and their kin may execute

A difference is either a mistake in the library, or a decision, which changes
the file here and is then seen in review.
"""
import csv
import glob
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
PACKAGES = ["gcc", "libc6-dev", "binutils", "clang", "cmake", "make",
            "libjemalloc2"]
# What the C library keeps for all libraries that are loaded later.
TLS_BYTES_MAX = 512
# What mallocx and dallocx may take more than malloc and free, if without flags.
FLAGS_MAX = 6


# -- symbols --

def expected_exports():
    return set((HERE / "exports.txt").read_text(encoding="utf-8").split())


def expect_exports(shop, what, names):
    wanted = expected_exports()
    shop.expect(names == wanted,
                f"{what}: shows {sorted(names - wanted)} too much and lacks "
                f"{sorted(wanted - names)}")


def shown(shop, library):
    """Name to kind of what a shared library shows; a version is part of a
    name."""
    listing = shop.tool("nm", "-D", "--defined-only", library).splitlines()
    names = {line.split()[-1]: line.split()[-2] for line in listing}
    shop.expect(len(names) == len(listing), "a name is shown twice")
    return names


def exports(shop):
    """The shared library shows what is listed, and the table says the same."""
    expect_exports(shop, shop.library.name, shown(shop, shop.library).keys())
    table = (ROOT / "src/table/export.def").read_text(encoding="utf-8")
    rows = re.findall(r"^EXPORT_\w+\((\w+)\)", table, re.MULTILINE)
    expect_exports(shop, "src/table/export.def", set(rows))


def archive_exports(shop):
    """The static archive shows the same, and hides everything else."""
    listing = shop.tool("nm", "-g", "--defined-only", shop.archive)
    names = [line.split()[-1] for line in listing.splitlines()
             if len(line.split()) == 3]
    expect_exports(shop, shop.archive.name, set(names))


def jemalloc_exports(shop):
    """The other shared library can take the place of Debian's libjemalloc2."""
    library = shop.build / "jemalloc/libjemalloc.so.2"
    dynamic = shop.tool("readelf", "-d", library)
    shop.expect("soname: [libjemalloc.so.2]" in dynamic,
                f"its SONAME is another one:\n{dynamic}")
    ours = shown(shop, library)
    expect_exports(shop, library.name, ours.keys())
    # V: what a program defines as well is the program's.
    for name in ("malloc_conf", "malloc_conf_2_conf_harder"):
        shop.expect(ours.get(name) == "V", f"{name} is not a weak variable")
    found = glob.glob("/usr/lib/*/libjemalloc.so.2")
    if not found:
        shop.skip("Debian's libjemalloc2 is not installed")
        return
    theirs = shown(shop, found[0])
    shop.expect(len(theirs) >= 44, f"{found[0]} shows only {theirs}")
    shop.expect(theirs.keys() <= ours.keys(),
                f"of {found[0]} are missing: {theirs.keys() - ours.keys()}")
    functions = {name for name, kind in theirs.items() if kind == "T"}
    ours_too = {name for name, kind in ours.items() if kind in "TW"}
    shop.expect(functions <= ours_too,
                f"these are no functions: {functions - ours_too}")


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
    for size in sorted({size for _, size in counts}):
        plain = counts["malloc", size] + counts["free", size]
        flagged = counts["mallocx", size] + counts["dallocx", size]
        shop.expect(flagged <= plain + FLAGS_MAX,
                    f"of {size} bytes, mallocx and dallocx without flags take "
                    f"{flagged} instructions, malloc and free {plain}")


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
    "jemalloc-exports": jemalloc_exports,
    "tls-size": tls_size,
    "fast-path": fast_path,
    "fast-path-clang": fast_path_clang,
}

if __name__ == "__main__":
    sys.exit(main(SUITES, PACKAGES, "golden"))
