# SPDX-License-Identifier: MIT
"""What the benchmark computes from runs: medians, means, verdicts, goals."""
import random
import unittest

import figures
import goals
import latency
from results import FAILED as NO_FIGURE
from results import MEMORY, TIME, Results
from runs import FAILED, Run


def run_of(rep, workload, allocator, seconds, **more):
    fields = {"group": "toys", "threads": 1, "peak_kb": 1000.0} | more
    return Run(rep=rep, workload=workload, allocator=allocator,
               seconds=seconds, **fields)


def runs_of(workload, allocator, values, **more):
    first = more.pop("first", 1)
    return [run_of(rep, workload, allocator, value, **more)
            for rep, value in enumerate(values, first)]


class Figures(unittest.TestCase):
    def test_geometric_mean(self):
        self.assertAlmostEqual(figures.geometric_mean([2, 8]), 4)
        self.assertAlmostEqual(figures.geometric_mean([0.5, 2, 1]), 1)

    def test_spread_is_the_middle_half(self):
        self.assertAlmostEqual(figures.spread([1, 2, 3, 4, 5]), 2 / 3)
        self.assertEqual(figures.spread([7]), 0)

    def test_interval_of_equal_ratios_is_a_point(self):
        low, high = figures.interval(
            [{rep: (2 * rep, rep) for rep in range(1, 10)}])
        self.assertLess(low, 2.0 + 1e-9)
        self.assertGreater(high, 2.0 - 1e-9)
        low, high = figures.interval([{rep: (3, 2) for rep in range(9)}])
        self.assertAlmostEqual(low, 1.5)
        self.assertAlmostEqual(high, 1.5)

    def test_slow_moments_that_hit_both_cancel_out(self):
        drift = {rep: (1.1 * slow, slow) for rep, slow in
                 enumerate([1, 9, 1, 9, 1, 9, 1, 9, 1])}
        self.assertAlmostEqual(figures.interval([drift])[0], 1.1, places=6)
        self.assertAlmostEqual(figures.interval([drift])[1], 1.1, places=6)

    def test_interval_holds_what_it_promises(self):
        """Of equal allocators one in twenty may look different, not more."""
        chance, missed = random.Random(7), 0
        for _ in range(100):
            pairing = {rep: (chance.gauss(100, 5), chance.gauss(100, 5))
                       for rep in range(9)}
            low, high = figures.interval([pairing])
            missed += not low <= 1 <= high
        self.assertLessEqual(missed, 5)

    def test_verdicts(self):
        cases = [
            (0.9, (0.85, 0.95), 1.02, figures.WIN),
            (1.1, (1.05, 1.15), 1.02, figures.LOSS),
            (1.1, (0.99, 1.15), 1.00, figures.UNRESOLVED),
            (0.9, (0.85, 1.00), 1.00, figures.UNRESOLVED),
            (1.1, (1.05, 1.15), 1.12, figures.UNRESOLVED),
            (1.1, (1.05, 1.15), 1 / 1.12, figures.UNRESOLVED),
            (0.9, (0.85, 0.95), None, figures.UNRESOLVED),
        ]
        for ratio, bounds, twin, expected in cases:
            with self.subTest(ratio=ratio, bounds=bounds, twin=twin):
                self.assertEqual(figures.verdict(ratio, bounds, twin),
                                 expected)


class Measured(unittest.TestCase):
    """Two workloads: ours is 0.8 in one and 2.0 in the other."""

    def setUp(self):
        self.runs = [
            *runs_of("a", "ashlar", [8, 8, 80]),
            *runs_of("a", "glibc", [10, 10, 10], peak_kb=500.0),
            *runs_of("a", "jemalloc", [20, 20, 20]),
            *runs_of("a", "twin", [10.1, 10.1], first=2, copy_of="glibc"),
            *runs_of("b", "ashlar", [20, 20, 20], peak_kb=3000.0),
            *runs_of("b", "glibc", [30, 30, 30], peak_kb=2000.0),
            *runs_of("b", "jemalloc", [10, 10, 10], peak_kb=4000.0),
            *runs_of("b", "twin", [5, 30], first=2, copy_of="jemalloc"),
        ]
        self.results = Results(self.runs)

    def test_middle_is_the_median(self):
        self.assertEqual(self.results.middle("a", "ashlar", TIME), 8)

    def test_the_best_is_a_peer_for_each_metric(self):
        self.assertEqual(self.results.best("a", TIME), "glibc")
        self.assertEqual(self.results.best("b", TIME), "jemalloc")
        self.assertEqual(self.results.best("b", MEMORY), "glibc")

    def test_variants_of_ours_are_no_peers(self):
        results = Results(self.runs + runs_of("a", "ashlar-old", [1, 1, 1]))
        self.assertEqual(results.best("a", TIME), "glibc")
        self.assertAlmostEqual(results.ratio("a", "ashlar-old", TIME), 0.1)

    def test_means(self):
        self.assertAlmostEqual(self.results.mean("ashlar", TIME)[0],
                               (0.8 * 2.0) ** 0.5)
        self.assertAlmostEqual(self.results.mean("glibc", TIME)[0], 3 ** 0.5)
        self.assertAlmostEqual(
            self.results.mean("ashlar", TIME, "jemalloc")[0],
            (0.4 * 2.0) ** 0.5)
        self.assertAlmostEqual(self.results.mean("ashlar", MEMORY)[0],
                               (2.0 * 1.5) ** 0.5)

    def test_the_twin_is_compared_where_both_ran(self):
        self.assertAlmostEqual(self.results.twin_ratio("a", TIME), 1.01)
        self.assertAlmostEqual(self.results.twin_ratio("b", TIME), 1.75)

    def test_a_difference_below_the_twins_is_unresolved(self):
        self.assertEqual(self.results.compare("b", TIME).verdict, "loss")
        slower = [run for run in self.runs if run.allocator != "twin"] + \
            runs_of("b", "twin", [25, 25], first=2, copy_of="jemalloc")
        self.assertEqual(Results(slower).compare("b", TIME).verdict,
                         "unresolved")

    def test_a_wide_interval_is_unresolved(self):
        """Its third run was slow: too few to know that it was chance."""
        self.assertEqual(self.results.compare("a", TIME).verdict,
                         "unresolved")

    def test_a_failure_is_no_figure(self):
        failed = run_of(2, "b", "jemalloc", None, status=FAILED, reason="x")
        results = Results(self.runs + [failed])
        self.assertIsNone(results.ratio("b", "jemalloc", TIME))
        self.assertEqual(results.best("b", TIME), "glibc")
        self.assertEqual(results.mean("jemalloc", TIME), (2.0, 1))

    def test_a_failure_of_ours_is_beyond_every_limit(self):
        failed = run_of(2, "a", "ashlar", None, status=FAILED, reason="x")
        results = Results(self.runs + [failed])
        self.assertEqual(results.compare("a", TIME).verdict, NO_FIGURE)
        self.assertEqual([one.workload for one in goals.beyond(results, TIME)],
                         ["a", "b"])


class Goals(unittest.TestCase):
    def reached(self, runs, what, latencies=()):
        found = [goal for goal in goals.goals_of(Results(runs), latencies)
                 if what in goal.what]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_nothing_measured_is_nothing_met(self):
        for goal in goals.goals_of(Results(runs_of("a", "glibc", [1])), []):
            self.assertIsNone(goal.met, goal.what)

    def test_valleys(self):
        runs = runs_of("settle", "ashlar", [1, 1], live_kb=10000.0, rss_kb=15596.0)
        self.assertTrue(self.reached(runs, "valleys").met)
        runs = runs_of("settle", "ashlar", [1, 1], live_kb=10000.0, rss_kb=15597.0)
        self.assertFalse(self.reached(runs, "valleys").met)

    def test_speed_up(self):
        one = runs_of("alone-1", "ashlar", [1, 1], ops=100.0)
        two = runs_of("alone-2", "ashlar", [1, 1], ops=190.0, threads=2)
        self.assertTrue(self.reached(one + two, "threads").met)
        two = runs_of("alone-2", "ashlar", [1, 1], ops=189.0, threads=2)
        self.assertFalse(self.reached(one + two, "threads").met)

    def test_calls(self):
        def call(allocator, nanoseconds, count=10 ** 6):
            return latency.Latency("a", allocator, "free", count, 1, 1, 1,
                                   nanoseconds, nanoseconds)

        runs = runs_of("a", "ashlar", [1])
        cases = [([call("ashlar", 900)], True),
                 ([call("ashlar", 50_001)], False),
                 ([call("ashlar", 900), call("glibc", 899)], False),
                 ([call("ashlar", 900), call("ashlar-old", 1)], True),
                 ([call("ashlar", 900, 10)], None)]
        for latencies, met in cases:
            with self.subTest(latencies=latencies):
                goal = self.reached(runs, "p99.99", latencies)
                self.assertIs(goal.met, met)
