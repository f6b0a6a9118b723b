#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the rows of src/table/size_class.def, with their waste.

Classes are jemalloc's, but for 8 where the quantum is 16: a step of the quantum
up to eight of it, then four per doubling up to 64 KiB. `tools/size_class.py`
prints the rows for both quanta; `--check [FILE]` compares them with a file, by
default the table itself.
"""
import pathlib
import sys

SLICE = 64 * 1024
TABLE = pathlib.Path(__file__).parents[1] / "src/table/size_class.def"

# Up to here the classes depend on the quantum (those from 64 to 128 do not).
COMMON = 64


def sizes(quantum):
    """Every class size, ascending."""
    base = 8 * quantum
    yield from range(quantum, base + 1, quantum)
    while base < SLICE:
        yield from (base + base // 4 * k for k in range(1, 5))
        base *= 2


def row(size, below):
    """One CLASS(...) line; `below` is the next smaller class."""
    slices = 1 if size <= 8192 else 8
    slab = slices * SLICE
    blocks = slab // size
    segment = max(4, min(max(16, 4096 // size), blocks // 4))
    tail = 1000 * (slab - blocks * size) / slab
    # A request is uniform over (below, size]: half the step is lost.
    inside = 1000 * (size - below - 1) / 2 / size
    return (f"CLASS({size:6}, {slices:2}, {blocks:5}, {segment:4}, "
            f"{tail:4.0f}, {inside:4.0f})")


def rows(quantum):
    """The rows of the classes up to COMMON, and of the others."""
    every = list(sizes(quantum))
    lines = [row(size, below) for size, below in zip(every, [0, *every])]
    border = every.index(COMMON) + 1
    return lines[:border], lines[border:]


def table():
    """The lines below the comment of the table."""
    fine, above = rows(8)
    coarse, same = rows(16)
    assert above == same
    return ["#if ASHLAR_QUANTUM == 8", *fine, "#else", *coarse, "#endif",
            *above]


def main():
    if sys.argv[1:2] == ["--check"]:
        path = sys.argv[2] if len(sys.argv) > 2 else TABLE
        with open(path, encoding="utf-8") as file:
            present = [line.rstrip() for line in file if line.startswith(
                ("CLASS(", "#if", "#else", "#endif"))]
        if present != table():
            print(f"{path}: rows differ from tools/size_class.py")
            return 1
        return 0
    print("\n".join(table()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
