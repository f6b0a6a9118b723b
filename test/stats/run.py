#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of what malloc_stats_print writes, from outside.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]
       run.py --client COMMAND...   (this script again, under LD_PRELOAD)

The client is Python itself: the library under test is preloaded, does some
work, and what it prints is parsed here. Where Debian's jemalloc is installed,
the same client is run on it, and its keys and lines must all be there.
"""
import argparse
import ctypes
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

PACKAGES = ["python3"]
JEMALLOC = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
LETTERS = "gmdablxeh"
SKIPPED = 77
BEGIN = "___ Begin jemalloc statistics ___"
END = "--- End jemalloc statistics ---"

# Words of the options whose names follow are another's in each version.
OWN_PARTS = re.compile(r"^  (config|opt|prof)\.|^Profiling settings|^Version:")


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


# -- the client --

WRITER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


def printed(library, letters):
    parts = []
    writer = WRITER(lambda _, text: parts.append(text))
    library.malloc_stats_print(writer, None, letters.encode())
    expect(all(len(part) > 0 for part in parts), "an empty piece")
    return b"".join(parts)


def read_number(library, name, kind):
    value = kind(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    error = library.mallctl(name.encode(), ctypes.byref(value),
                            ctypes.byref(size), None, ctypes.c_size_t(0))
    expect(error == 0, f"{name}: error {error}")
    return value.value


def write_name(library, arena, name):
    value = ctypes.c_char_p(name)
    error = library.mallctl(f"arena.{arena}.name".encode(), None, None,
                            ctypes.byref(value),
                            ctypes.c_size_t(ctypes.sizeof(value)))
    expect(error == 0, f"arena.{arena}.name: error {error}")


def client_all(library):
    """Every combination of letters, JSON and text, a JSON text a line."""
    read_number(library, "arenas.create", ctypes.c_uint)
    gone = read_number(library, "arenas.create", ctypes.c_uint)
    library.mallctl(f"arena.{gone}.destroy".encode(), None, None, None,
                    ctypes.c_size_t(0))
    for count in range(len(LETTERS) + 1):
        for omitted in itertools.combinations(LETTERS, count):
            letters = "".join(omitted)
            tree = json.loads(printed(library, "J" + letters))
            check_parts(tree["jemalloc"], letters)
            text = printed(library, letters).decode()
            expect(text.startswith(BEGIN + "\n")
                   and text.endswith("\n" + END + "\n"), "not whole")


def check_parts(tree, letters):
    has = {"g": "version" in tree, "x": "mutexes" in tree["stats"]}
    arenas = tree.get("stats.arenas", {})
    has["d"] = "destroyed" in arenas
    has["m"] = "merged" in arenas
    has["a"] = "0" in arenas
    for arena in arenas.values():
        has["b"] = "bins" in arena
        has["l"] = "lextents" in arena
        has["e"] = "extents" in arena
        has["h"] = "hpa_shard" in arena
        expect(("mutexes" in arena) == has["x"], f"{letters}: mutexes")
    for letter, there in has.items():
        expect(there == (letter not in letters), f"{letters}: {letter}")


def client_names(library):
    """Names with everything that JSON has to escape."""
    odd = b'a"b\\c\n\t\x01/\xc3\xa9'
    write_name(library, 0, odd)
    tree = json.loads(printed(library, "J"))
    name = tree["jemalloc"]["stats.arenas"]["0"]["name"]
    expect(name.encode() == odd, f"the name is {name!r}")


def client_figures(library):
    """The same figures by print and by mallctl, after the same epoch."""
    keep = [bytes(size) for size in (100, 1000, 70000, 300000, 40 << 20)]
    stats = json.loads(printed(library, "J"))["jemalloc"]
    expect(stats["arenas"]["narenas"]
           == read_number(library, "arenas.narenas", ctypes.c_uint), "narenas")
    for key in ("allocated", "active", "metadata", "resident", "mapped",
                "retained"):
        expect(stats["stats"][key] == read_number(
            library, f"stats.{key}", ctypes.c_size_t), key)
    arena = stats["stats.arenas"]["0"]
    bins = arena["bins"]
    sizes = stats["arenas"]["bin"]
    expect(len(bins) == len(sizes) == stats["arenas"]["nbins"], "bins")
    expect(len(arena["lextents"]) == len(stats["arenas"]["lextent"])
           == stats["arenas"]["nlextents"], "lextents")
    small = sum(one["curregs"] * size["size"]
                for one, size in zip(bins, sizes))
    expect(arena["small"]["allocated"] == small, "small.allocated")
    for one in bins:
        expect(one["nmalloc"] - one["ndalloc"] == one["curregs"], "curregs")
    for key in ("nmalloc", "ndalloc", "nfills", "nflushes"):
        expect(arena["small"][key] == sum(one[key] for one in bins), key)
    expect(arena["large"]["allocated"] >= 40 << 20, "large.allocated")
    expect(sum(one["curlextents"] for one in arena["lextents"])
           == arena["large"]["nmalloc"] - arena["large"]["ndalloc"], "large")
    expect(stats["stats"]["allocated"] == arena["small"]["allocated"]
           + arena["large"]["allocated"], "allocated")
    expect(arena["uptime_ns"] < 60 * 10**9, f"up {arena['uptime_ns']} ns")
    del keep


def client_print(library, letters):
    sys.stdout.buffer.write(printed(library, letters))


def client(arguments):
    library = ctypes.CDLL(None)
    library.mallctl.restype = ctypes.c_int
    commands = {"all": client_all, "names": client_names,
                "figures": client_figures, "print": client_print}
    commands[arguments[0]](library, *arguments[1:])
    print("done", file=sys.stderr)


# -- the tests --

def run(library, *arguments):
    environment = dict(os.environ, LD_PRELOAD=str(library),
                       PYTHONMALLOC="malloc")
    done = subprocess.run(
        [sys.executable, __file__, "--client", *arguments], env=environment,
        capture_output=True, timeout=50)
    expect(done.returncode == 0 and done.stderr.endswith(b"done\n"),
           f"{arguments}: {done.returncode}, "
           f"{done.stderr.decode(errors='replace')[-800:]}")
    return done.stdout


def every_letter(library):
    run(library, "all")


def odd_names(library):
    run(library, "names")


def figures(library):
    run(library, "figures")


def keys_of(tree, path=""):
    found = set()
    if isinstance(tree, dict):
        for key, value in tree.items():
            found |= {f"{path}.{key}"} | keys_of(value, f"{path}.{key}")
    elif isinstance(tree, list) and tree:
        found = keys_of(tree[0], path + "[]")
    return found


def jemalloc_or_skip():
    if not JEMALLOC.exists():
        print(f"{JEMALLOC} is not installed")
        sys.exit(SKIPPED)
    return JEMALLOC


def jemallocs_keys(library):
    """All keys of jemalloc 5.3.0."""
    theirs = keys_of(json.loads(run(jemalloc_or_skip(), "print", "J")))
    ours = keys_of(json.loads(run(library, "print", "J")))
    expect(theirs <= ours, f"keys are missing: {sorted(theirs - ours)}")


def skeleton(text):
    """The lines without their values: names, headings and widths remain."""
    lines = []
    for line in text.decode().splitlines():
        if OWN_PARTS.match(line) or re.match(r"^ *---$", line):
            continue
        # Rows of classes: which ones there are depends on what was allocated.
        if re.match(r"^ {5,}\d", line):
            continue
        line = re.sub(r'"[^"]*"', '""', line)
        line = re.sub(r" *-?\b\d+\b| *N/A", " #", line)
        lines.append(line)
    return lines


# What Debian's version prints in another way than later ones.
REWORDED = {
    "Allocated: #, active: #, metadata: # (n_thp #), resident: #, mapped: #,"
    " retained: #":
    "Allocated: #, active: #, metadata: # (n_thp #, edata #, rtree #),"
    " resident: #, mapped: #, retained: #",
}


def jemallocs_lines(library):
    """All lines of jemalloc 5.3.0, in their order, with their headings."""
    ours = iter(skeleton(run(library, "print", "")))
    for line in skeleton(run(jemalloc_or_skip(), "print", "")):
        line = REWORDED.get(line, line)
        expect(line in ours, f"no line {line!r} where jemalloc has it")


def cells(line):
    """Where the columns of a line end."""
    return [match.end() for match in re.finditer(r"\S+", line)]


def columns_line_up(library):
    """Every row's cells end where its heading's do."""
    lines = run(library, "print", "").decode().splitlines()
    heading = None
    rows = 0
    for line in lines:
        if re.match(r"^(bins|large|extents):\s+size ind", line):
            heading = cells(line)[1:]
        elif heading and re.match(r"^ {5,}\d", line):
            expect(cells(line) == heading, f"{line!r} is not below its heading")
            rows += 1
    expect(rows > 10, f"only {rows} rows")


def at_exit(library):
    environment = dict(os.environ, LD_PRELOAD=str(library),
                       MALLOC_CONF="stats_print:true,stats_print_opts:Jgbl")
    done = subprocess.run([sys.executable, "-c", "pass"], env=environment,
                          capture_output=True, timeout=50)
    expect(done.returncode == 0, f"ended with {done.returncode}")
    tree = json.loads(done.stderr)["jemalloc"]
    expect("version" not in tree and "bins" not in tree["stats.arenas"]["0"],
           "the letters are not heeded")


SUITES = {
    "every-letter": every_letter,
    "odd-names": odd_names,
    "figures": figures,
    "jemallocs-keys": jemallocs_keys,
    "jemallocs-lines": jemallocs_lines,
    "columns": columns_line_up,
    "at-exit": at_exit,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--lib")
    parser.add_argument("--build")
    parser.add_argument("--suite", choices=SUITES)
    options = parser.parse_args()
    if options.list or options.packages:
        print("\n".join(SUITES if options.list else PACKAGES))
        return 0
    for name in [options.suite] if options.suite else SUITES:
        try:
            SUITES[name](Path(options.lib).resolve())
        except Failure as failure:
            print(f"{name}: {failure}")
            return 1
        print(f"{name}: ok")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        sys.exit(client(sys.argv[2:]))
    sys.exit(main())
