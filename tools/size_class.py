#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the rows of src/table/size_class.def, with their waste.

Classes are jemalloc's, but for 8: steps of 16 up to 128, then four per doubling
up to 64 KiB. `tools/size_class.py` prints the rows; `--check [FILE]` compares
them with a file, by default the table itself.
"""
import pathlib
import sys

SLICE = 64 * 1024
TABLE = pathlib.Path(__file__).parents[1] / "src/table/size_class.def"


def sizes():
    """Every class size, ascending."""
    yield from range(16, 129, 16)
    base = 128
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


def rows():
    below = 0
    for size in sizes():
        yield row(size, below)
        below = size


def main():
    if sys.argv[1:2] == ["--check"]:
        path = sys.argv[2] if len(sys.argv) > 2 else TABLE
        with open(path, encoding="utf-8") as file:
            present = [line.rstrip() for line in file
                       if line.startswith("CLASS(")]
        if present != list(rows()):
            print(f"{path}: rows differ from tools/size_class.py")
            return 1
        return 0
    print("\n".join(rows()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
