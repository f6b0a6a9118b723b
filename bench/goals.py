# SPDX-License-Identifier: MIT
"""goals - what the project has set itself, and what was reached."""

import re
from dataclasses import dataclass
from statistics import median

import latency
from allocator import OURS
from figures import LOSS, UNRESOLVED
from results import FAILED, MEMORY, TIME

TIME_MEAN_MAX = 1.00
TIME_WORST_MAX = 1.10
TIME_VERSUS_MAX = (("mimalloc", 0.85), ("tcmalloc", 0.80), ("jemalloc", 0.70))
MEMORY_MEAN_MAX = 1.05
MEMORY_WORST_MAX = 1.20
VALLEYS = ("sawtooth", "settle")
VALLEY_FACTOR, VALLEY_SPARE_KB = 1.15, 4096
CALL_US_MAX = 50
SPEED_UP_MIN = 1.9


@dataclass(frozen=True)
class Goal:
    what: str
    goal: str
    reached: str
    met: bool           # None: not measured


def goals_of(results, latencies):
    """Every goal, with what this measurement says of it."""
    return [
        mean_goal(results, TIME, TIME_MEAN_MAX,
                  "mean time, to the best peer of each workload"),
        worst_goal(results, TIME, TIME_WORST_MAX,
                   "time of the worst workload, resolved"),
        *(versus_goal(results, *row) for row in TIME_VERSUS_MAX),
        mean_goal(results, MEMORY, MEMORY_MEAN_MAX,
                  "mean peak memory, to the lowest of each workload"),
        worst_goal(results, MEMORY, MEMORY_WORST_MAX,
                   "peak memory of the worst workload"),
        valley_goal(results),
        call_goal(latencies),
        speed_up_goal(results),
    ]


def not_measured(what, goal):
    return Goal(what, goal, "not measured", None)


def mean_goal(results, metric, limit, what):
    mean, _ = results.mean(OURS, metric)
    if mean is None:
        return not_measured(what, f"≤ {limit:.2f}")
    low, high = results.mean_bounds(OURS, metric)
    return Goal(what, f"≤ {limit:.2f}",
                f"{mean:.3f} ({low:.3f} to {high:.3f})",
                mean <= limit)


def beyond(results, metric):
    """Comparisons over the metric's limit, worst first; failures lead.

    In time only what is resolved counts.
    """
    limit = TIME_WORST_MAX if metric == TIME else MEMORY_WORST_MAX
    found = [one for one in results.comparisons(metric)
             if one.verdict == FAILED or one.ratio > limit
             and (metric == MEMORY or one.verdict == LOSS)]
    return sorted(found, key=lambda one: -(one.ratio or float("inf")))


def worst_goal(results, metric, limit, what):
    if not results.mean(OURS, metric)[1]:
        return not_measured(what, f"≤ {limit:.2f}")
    found = beyond(results, metric)
    open_count = sum(one.verdict == UNRESOLVED and one.ratio > limit
                     for one in results.comparisons(metric))
    reached = "none above"
    if found:
        shown = f"{found[0].ratio:.2f}" if found[0].ratio else FAILED
        reached = f"{len(found)} above; {shown} in {found[0].workload}"
    elif open_count:
        reached += f" for certain, {open_count} unresolved"
    return Goal(what, f"≤ {limit:.2f}", reached, not found)


def versus_goal(results, peer, limit):
    what = f"mean time, to {peer}"
    mean, _ = results.mean(OURS, TIME, peer)
    if mean is None:
        return not_measured(what, f"≤ {limit:.2f}")
    return Goal(what, f"≤ {limit:.2f}", f"{mean:.3f}", mean <= limit)


def valley_goal(results):
    """Where most is freed at once; elsewhere survivors pin pages on purpose."""
    what, goal = "resident after valleys and free-all", \
        f"≤ {VALLEY_FACTOR} × live + {VALLEY_SPARE_KB >> 10} MiB"
    parts = []
    for workload in results.workloads:
        if not workload.startswith(VALLEYS):
            continue
        live = results.middle(workload, OURS, "live_kb")
        resident = results.middle(workload, OURS, "rss_kb")
        if live is not None and resident is not None:
            allowed = VALLEY_FACTOR * live + VALLEY_SPARE_KB
            parts.append((resident / allowed, workload, resident, live))
    if not parts:
        return not_measured(what, goal)
    share, workload, resident, live = max(parts)
    return Goal(what, goal, f"{share:.2f} of that in {workload}: "
                f"{resident / 1024:.1f} MiB for {live / 1024:.1f}", share <= 1)


def call_goal(latencies):
    what = "malloc and free, p99.99 without page faults"
    goal = f"≤ {CALL_US_MAX} µs, and ≤ every peer's"
    ours, worst, behind = latency.worst_call(latencies, OURS)
    if ours is None:
        return not_measured(what, goal)
    return Goal(what, goal, f"{ours / 1000:.1f} µs: {worst[1]} in {worst[0]}; "
                f"behind a peer in {len(behind)} places",
                ours <= CALL_US_MAX * 1000 and not behind)


def speed_up_goal(results):
    """Of pairs NAME-1 and NAME-2, whose programs share nothing: alone..."""
    what, goal = "threads 1 to 2, nothing shared", f"≥ {SPEED_UP_MIN} × ops/s"
    parts = []
    for workload in results.workloads:
        pair = re.fullmatch(r"(alone.*)-1", workload)
        two = pair and f"{pair[1]}-2"
        if two in results.groups:
            speed = [rate(results, name) for name in (workload, two)]
            if all(speed):
                parts.append((speed[1] / speed[0], two))
    if not parts:
        return not_measured(what, goal)
    factor, workload = min(parts)
    return Goal(what, goal, f"{factor:.2f} in {workload}",
                factor >= SPEED_UP_MIN)


def rate(results, workload):
    """Operations per second, or None."""
    ops = results.samples(workload, OURS, "ops")
    seconds = results.samples(workload, OURS, TIME)
    rates = [ops[rep] / seconds[rep] for rep in ops.keys() & seconds.keys()]
    return median(rates) if rates else None
