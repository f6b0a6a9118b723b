# SPDX-License-Identifier: MIT
"""objects - an interpreter for sums, all classes, in a graph with cycles.

    objects.py ROUNDS
"""

import random
import sys


class Node:
    """A term that knows its parent: every tree is full of cycles."""

    def __init__(self, *parts):
        self.parent = None
        self.parts = list(parts)
        for part in parts:
            part.parent = self

    def depth(self):
        return 1 + (self.parent.depth() if self.parent else 0)


class Number(Node):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def simpler(self):
        return Number(self.value)

    def of(self, names):
        return self.value


class Name(Node):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def simpler(self):
        return Name(self.name)

    def of(self, names):
        return names[self.name]


class Sum(Node):
    def simpler(self):
        parts = [part.simpler() for part in self.parts]
        fixed = [part for part in parts if isinstance(part, Number)]
        rest = [part for part in parts if not isinstance(part, Number)]
        if len(fixed) > 1:
            fixed = [Number(sum(part.value for part in fixed))]
        return type(self)(*fixed, *rest)

    def of(self, names):
        return sum(part.of(names) for part in self.parts)


class Product(Sum):
    def simpler(self):
        return Product(*(part.simpler() for part in self.parts))

    def of(self, names):
        result = 1
        for part in self.parts:
            result = result * part.of(names) % 1000003
        return result


def term(rng, depth):
    if depth == 0:
        return Number(rng.randrange(100)) if rng.random() < 0.5 \
            else Name(f"v{rng.randrange(50)}")
    kind = rng.choice([Sum, Product])
    return kind(*(term(rng, depth - 1) for _ in range(rng.randint(2, 4))))


def main():
    rng, total = random.Random(2), 0
    names = {f"v{number}": number * 7 for number in range(50)}
    kept = []
    for step in range(int(sys.argv[1])):
        tree = term(rng, 5)
        total += tree.of(names) + tree.simpler().of(names)
        leaf = tree
        while leaf.parts:
            leaf = leaf.parts[-1]
        total += leaf.depth()
        if step % 4 == 0:
            kept.append((str(total), tree))
    print(total, len(kept))


main()
