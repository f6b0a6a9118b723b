# SPDX-License-Identifier: MIT
"""truth - what a program says that it holds, and how far a sample may be from
it."""
import math
import re

from jeprof import expect

# A sum of samples lies so many standard deviations from the truth at most.
# Beyond it: once in 80 million sums, of which a check looks at some 400.
DEVIATIONS = 5.7
# What the C library, the loader and the C++ runtime take, which nobody says.
UNSAID_BYTES = 120_000


class Site:
    """A function: how many objects it holds of how many bytes each."""

    def __init__(self):
        self.asked = 0
        self.usable = 0
        self.rows = []

    def add(self, asked, usable, objects):
        self.asked += asked * objects
        self.usable += usable * objects
        self.rows.append((usable, objects))

    def variance(self, rate):
        """Of the estimate: each object is seen with probability p, and then
        counts for 1 / p."""
        if rate == 1:
            return 0.0
        total = 0.0
        for usable, objects in self.rows:
            p = -math.expm1(-usable / rate)
            total += objects * usable * usable * (1 - p) / p
        return total


def truth_of(output):
    sites = {}
    for name, *numbers in re.findall(r"^(\w+) (\d+) (\d+) (\d+)$", output,
                                     re.MULTILINE):
        sites.setdefault(name, Site()).add(*map(int, numbers))
    expect(sites, f"the program said {output[:200]!r}")
    return sites


class Judge:
    """Compares values with the truth, and keeps the worst deviation."""

    def __init__(self, rate):
        self.rate = rate
        self.worst = 0.0
        self.where = "anything"
        self.values = 0

    def near(self, value, wanted, variance, rounding, what):
        self.values += 1
        off = max(0.0, abs(value - wanted) - rounding)
        sigma = math.sqrt(variance)
        if sigma > 0 and off / sigma > self.worst:
            self.worst, self.where = off / sigma, what
        expect(off <= DEVIATIONS * sigma,
               f"{what}: {value:.0f} is not {wanted:.0f} +- "
               f"{DEVIATIONS} * {sigma:.0f}")

    def reading(self, reading, sites):
        """Each site has what it holds."""
        for name, site in sites.items():
            value, error = reading.of(name)
            self.near(value, site.usable, site.variance(self.rate), error,
                      f"{reading.tool}: {name}")

    def total(self, reading, sites, unsaid=UNSAID_BYTES):
        """The program has said all, so nobody else has anything."""
        self.near(reading.total, sum(s.usable for s in sites.values()),
                  sum(s.variance(self.rate) for s in sites.values()),
                  unsaid, f"{reading.tool}: total")

    def said(self):
        return (f"{self.values} sums, at most {self.worst:.1f} sigma off "
                f"({self.where})")
