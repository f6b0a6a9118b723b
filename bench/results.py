# SPDX-License-Identifier: MIT
"""results - all runs of a measurement, and the questions asked of them.

A metric is "seconds" or "peak_kb", both better when smaller. The best peer of
a workload is the one with the smallest median; taking it for every workload
anew is called the oracle. An allocator that failed in a workload has no figure
there, and its means are over the others.
"""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

import figures
from allocator import OURS, TWIN, is_peer, rank
from runs import OK

TIME, MEMORY = "seconds", "peak_kb"
EXTRAS = ("ops", "live_kb", "rss_kb")
FAILED = "failed"


@dataclass(frozen=True)
class Comparison:
    """Ours with the best peer, in one workload and one metric."""
    workload: str
    best: str               # the peer's name
    ratio: float            # of ours to it; None if ours failed
    bounds: tuple           # 95 % interval of the ratio
    twin: float             # the twin to the peer it is a copy of, or None
    spread: float           # of our runs
    verdict: str            # win, loss, unresolved or failed


class Results:
    def __init__(self, runs):
        self.values = defaultdict(dict)     # (workload, allocator, metric)
        self.twin_of = {}
        self.failures = {}                  # (workload, allocator): Run
        self.groups = {}                    # workload: group
        names = {}
        for run in runs:
            self.groups.setdefault(run.workload, run.group)
            names.setdefault(run.allocator)
            if run.status != OK:
                self.failures.setdefault((run.workload, run.allocator), run)
                continue
            if run.allocator == TWIN:
                self.twin_of[run.workload] = run.copy_of
            for metric in (TIME, MEMORY, *EXTRAS):
                value = getattr(run, metric)
                if value is not None:
                    place = run.workload, run.allocator, metric
                    self.values[place][run.rep] = value
        self.runs = list(runs)
        self.workloads = list(self.groups)
        self.allocators = sorted((name for name in names if name != TWIN),
                                 key=rank)
        self.peers = [name for name in self.allocators if is_peer(name)]
        self.reps = max((run.rep for run in self.runs), default=0)

    def has_ours(self):
        return OURS in self.allocators

    def samples(self, workload, name, metric):
        """{rep: value}; empty if it failed or did not take part."""
        if (workload, name) in self.failures:
            return {}
        return self.values.get((workload, name, metric), {})

    def middle(self, workload, name, metric):
        """The median of the runs, or None."""
        samples = self.samples(workload, name, metric)
        return median(samples.values()) if samples else None

    def best(self, workload, metric):
        """The best peer's name, or None if no peer has a figure."""
        medians = {name: self.middle(workload, name, metric)
                   for name in self.peers}
        medians = {name: value for name, value in medians.items() if value}
        return min(medians, key=medians.get, default=None)

    def ratio(self, workload, name, metric, versus=None):
        """To another's figure, by default the best peer's; None without."""
        versus = versus or self.best(workload, metric)
        value = self.middle(workload, name, metric)
        other = versus and self.middle(workload, versus, metric)
        return value / other if value and other else None

    def twin_ratio(self, workload, metric):
        """Over the repetitions in which both ran."""
        samples = self.samples(workload, TWIN, metric)
        others = self.samples(workload, self.twin_of.get(workload), metric)
        reps = samples.keys() & others.keys()
        if not reps:
            return None
        return median(samples[rep] for rep in reps) / \
            median(others[rep] for rep in reps)

    def pairing(self, workload, name, versus, metric):
        """{rep: (value, other's value)} where both have one."""
        samples = self.samples(workload, name, metric)
        others = self.samples(workload, versus, metric)
        return {rep: (samples[rep], others[rep])
                for rep in samples.keys() & others.keys()}

    def compare(self, workload, metric, name=OURS):
        """None if there is no peer to compare with."""
        best = self.best(workload, metric)
        if best is None:
            return None
        twin = self.twin_ratio(workload, metric)
        ratio = self.ratio(workload, name, metric, best)
        if ratio is None:
            return Comparison(workload, best, None, None, twin, 0.0, FAILED)
        bounds = figures.interval(
            [self.pairing(workload, name, best, metric)])
        samples = self.samples(workload, name, metric)
        return Comparison(workload, best, ratio, bounds, twin,
                          figures.spread(list(samples.values())),
                          figures.verdict(ratio, bounds, twin))

    def comparisons(self, metric, name=OURS):
        found = [self.compare(workload, metric, name)
                 for workload in self.workloads]
        return [comparison for comparison in found if comparison]

    def mean(self, name, metric, versus=None, workloads=None):
        """Geometric mean of ratios and how many; versus None: the oracle."""
        ratios = [self.ratio(workload, name, metric, versus)
                  for workload in
                  (self.workloads if workloads is None else workloads)]
        ratios = [ratio for ratio in ratios if ratio]
        if not ratios:
            return None, 0
        return figures.geometric_mean(ratios), len(ratios)

    def mean_bounds(self, name, metric):
        """95 % interval of the mean relative to the oracle, or None."""
        pairings = [self.pairing(workload, name, best, metric)
                    for workload in self.workloads
                    if (best := self.best(workload, metric))]
        pairings = [pairing for pairing in pairings if pairing]
        return figures.interval(pairings) if pairings else None

    def by_group(self):
        groups = defaultdict(list)
        for workload, group in self.groups.items():
            groups[group].append(workload)
        return dict(groups)
