# SPDX-License-Identifier: MIT
"""figures - the statistics: medians, means of ratios, and what they prove.

Runs of one repetition follow each other closely, so a slow moment of the
machine hits all allocators alike. Therefore repetitions are resampled whole:
the two values of a ratio stay together.
"""

import math
import random
import statistics

RESAMPLES = 1000
TAIL = 0.025                # on each side: an interval of 95 %
REPS_ENOUGH = 5             # with fewer, the interval is narrower than it says

WIN, LOSS, UNRESOLVED = "win", "loss", "unresolved"


def geometric_mean(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios)))


def spread(values):
    """The middle half of the values is this wide, relative to the median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def interval(pairings):
    """95 % interval of the geometric mean of ratios of medians.

    pairings holds, for each workload, {rep: (value, value of the other)}.
    With one workload: the interval of its ratio.
    """
    reps = sorted({rep for pairing in pairings for rep in pairing})
    chance = random.Random(1)
    means = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(reps, k=len(reps))
        logs = [log for pairing in pairings
                if (log := log_ratio(pairing, drawn)) is not None]
        if logs:
            means.append(statistics.fmean(logs))
    means.sort()
    first = int(TAIL * len(means))
    return math.exp(means[first]), math.exp(means[-1 - first])


def log_ratio(pairing, reps):
    """Of the medians over these repetitions; None where they have no value."""
    pairs = [pairing[rep] for rep in reps if rep in pairing]
    if not pairs:
        return None
    values, others = zip(*pairs)
    return math.log(statistics.median(values) / statistics.median(others))


def verdict(ratio, bounds, twin_ratio):
    """What a ratio to the best peer proves.

    twin_ratio is the same figure of the best peer's copy to the best peer,
    which would be 1 if measuring were exact; None if there was no copy.
    """
    low, high = bounds
    if twin_ratio is None or low <= 1 <= high:
        return UNRESOLVED
    if abs(math.log(ratio)) <= abs(math.log(twin_ratio)):
        return UNRESOLVED
    return WIN if ratio < 1 else LOSS
