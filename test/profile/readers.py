# SPDX-License-Identifier: MIT
"""readers - what tools say of a heap profile, or of the same program's heap.

Each reader gives a Reading: the bytes in all, and the bytes that each function
and what it called hold.
"""
import re
import shutil
import subprocess
from typing import NamedTuple

from jeprof import expect, jeprof_of

TIMEOUT_S = 50


class Reading(NamedTuple):
    tool: str
    total: float
    functions: dict
    errors: dict                # of functions: by how much they are rounded

    def of(self, name):
        """The bytes of a function, whatever namespace or arguments are shown;
        and how far they may be rounded."""
        # What follows are arguments, or the hash of Rust's names.
        wanted = re.compile(rf"(?:.*[:\s])?{name}(?:\(.*\)|::h[0-9a-f]{{16}})?")
        found = list(filter(wanted.fullmatch, self.functions))
        return (sum(self.functions[one] for one in found),
                sum(self.errors.get(one, 1) for one in found))


def output_of(*command, **more):
    done = subprocess.run([str(word) for word in command], text=True,
                          capture_output=True, check=False, errors="replace",
                          timeout=TIMEOUT_S, **more)
    expect(done.returncode == 0, f"{command[0]} ended with {done.returncode}: "
           f"{done.stderr[-500:]}")
    return done.stdout


def add(functions, name, value):
    functions[name] = functions.get(name, 0) + value


def widen(functions, name, value):
    """A function that is inlined in a part of itself is there twice."""
    name = name.removesuffix(" (inline)")
    functions[name] = max(functions.get(name, 0), value)


# -- readers of profiles --

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
STACK = re.compile(r"\s*(\d+)(\.\d)? ([KMG]?i?B)\s+\S+%\s+\d+ objects")


def report(build, path):
    """`ashlar report`, which rounds the bytes of each stack."""
    text = output_of(build / "ashlar", "report", "--top", "0", "--stacks",
                     path)
    total = re.search(r"^live: (\d+) bytes", text, re.MULTILINE)
    expect(total, f"report says no total: {text[:300]!r}")
    functions, errors = {}, {}
    for part in text.split("\n\n")[1:]:
        head, *frames = part.strip("\n").splitlines()
        found = STACK.fullmatch(head)
        expect(found, f"report: {head!r} heads a stack")
        unit = UNITS[found.group(3)]
        value = float(found.group(1) + (found.group(2) or "")) * unit
        # A place comes after two spaces, where one is known.
        for name in {frame.strip().split("  ")[0] for frame in frames}:
            add(functions, name, value)
            add(errors, name, unit * (0.051 if found.group(2) else 0.51))
    return Reading("report", int(total.group(1)), functions, errors)


def jeprof(build, program, path):
    text = output_of("perl", jeprof_of(build), "--text", "--show_bytes",
                     program, path)
    total = re.search(r"^Total: (\d+) B$", text, re.MULTILINE)
    expect(total, f"jeprof says no total: {text[:300]!r}")
    functions = {}
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[1].endswith("%"):
            widen(functions, fields[5], int(fields[3]))
    return Reading("jeprof", int(total.group(1)), functions, {})


def pprof_of(build):
    """The pprof that comes with Go; None: there is none."""
    if shutil.which("go"):
        return ["go", "tool", "pprof"]
    fetched = sorted((build / "pprof").glob(
        "usr/lib/go-*/pkg/tool/linux_amd64/pprof"))
    return fetched[-1:] or None


def pprof(command, path):
    """Finds no functions but those of C, for it reads the files by itself."""
    text = output_of(*command, "-top", "-cum", "-unit=B", "-nodecount=0",
                     "-nodefraction=0", "-edgefraction=0", path)
    total = re.search(r"of (\d+)B total$", text, re.MULTILINE)
    expect(total, f"pprof says no total: {text[:300]!r}")
    functions = {}
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and re.fullmatch(r"\d+B?", fields[3]):
            widen(functions, fields[5], int(fields[3].rstrip("B")))
    return Reading("pprof", int(total.group(1)), functions, {})


# -- other tools, which see every allocation --

MASSIF_NODE = re.compile(r"( *)n\d+: (\d+) (?:0x[0-9A-F]+: )?(.*)")


def massif_tree(text):
    """The bytes of each function in the last whole tree of massif's format."""
    trees = text.split("heap_tree=")[1:]
    whole = [tree for tree in trees if not tree.startswith("empty")]
    expect(whole, "massif has no tree")
    functions, above = {}, []
    for line in whole[-1].splitlines()[1:]:
        found = MASSIF_NODE.fullmatch(line)
        if not found:
            break
        depth, value = len(found.group(1)), int(found.group(2))
        name = re.sub(r" \((?:in )?[^()]*\)$", "", found.group(3))
        del above[depth:]
        if name not in above:
            add(functions, name, value)
        above.append(name)
        total = value if depth == 0 else total
    return total, functions


def massif(program, folder):
    out = folder / "massif.out"
    said = output_of(
        "valgrind", "--tool=massif", f"--massif-out-file={out}",
        "--depth=40", "--threshold=0", "--detailed-freq=1",
        "--peak-inaccuracy=0.0", "--max-snapshots=10", *program)
    # The largest tree is the last: what is taken is kept.
    text = out.read_text()
    peak = text.rpartition("heap_tree=peak")[2]
    total, functions = massif_tree("heap_tree=peak" + peak)
    return said, Reading("massif", total, functions, {})


def heaptrack(program, folder):
    out = folder / "heaptrack.out"
    flames = folder / "flames"
    said = output_of("heaptrack", "-o", out, *program)
    [data] = folder.glob("heaptrack.out.*")
    output_of("heaptrack_print", "-f", data, "-F", flames,
              "--flamegraph-cost-type", "leaked")
    functions = {}
    total = 0
    for line in flames.read_text(errors="replace").splitlines():
        stack, _, value = line.rpartition(" ")
        total += int(value)
        names = {re.sub(r" \([^()]*\)$", "", name)
                 for name in stack.split(";")}
        for name in names:
            add(functions, name, int(value))
    return said, Reading("heaptrack", total, functions, {})
