# SPDX-License-Identifier: MIT
"""latency - how long single calls take, from runs with liblatency.so.

It is preloaded in front of the allocator; the head of latency.c says what it
measures and writes. Here a percentile is of the quiet calls, in nanoseconds:
those without a page fault and without losing the processor. The shim slows the
program down, so these runs give no other figures.
"""

import csv
from dataclasses import asdict, dataclass, fields

import figures
from allocator import is_peer
from runs import OK

CALLS = ("malloc", "free")
PARTS = {"p50": "p50", "p99": "p99", "p999": "p99.9", "p9999": "p99.99",
         "longest": "max"}
CALLS_MIN = 100_000     # fewer say little of one call in 10,000


class LatencyError(Exception):
    """There is nothing to measure with, or a file that cannot be read."""


@dataclass
class Latency:
    workload: str
    allocator: str
    call: str               # malloc or free
    count: float
    p50: float
    p99: float
    p999: float
    p9999: float
    longest: float


COLUMNS = [field.name for field in fields(Latency)]


def check(workplace):
    if not workplace.latency.exists():
        raise LatencyError(f"--latency: there is no {workplace.latency}")


def measure(workplace, workloads, allocators, quick):
    """A list of Latency, from one run of everything."""
    found = []
    file = workplace.last / "latency"
    for workload in workloads:
        print(f"latency of {workload.name}", flush=True)
        for allocator in allocators:
            file.unlink(missing_ok=True)
            preload = " ".join(filter(None, [str(workplace.latency),
                                             allocator.path]))
            run = workplace.run(workload, preload, quick,
                                {"BENCH_LATENCY": str(file)})
            try:
                if run.status != OK:
                    raise ValueError(run.reason[:300])
                found += read_lines(file, workload.name, allocator.name)
            except (OSError, ValueError, KeyError) as error:
                print(f"FAILED: latency of {workload.name} on "
                      f"{allocator.name}: {error!r}", flush=True)
    return found


def read_lines(file, workload, allocator):
    """Each process wrote a line; the one with the most calls is meant."""
    lines = [dict(word.split("=", 1) for word in line.split())
             for line in file.read_text(encoding="utf-8").splitlines()]
    found = []
    for call in CALLS:
        name = f"quiet_{call}_"
        line = max(lines, key=lambda line: float(line[name + "calls"]))
        found.append(Latency(
            workload, allocator, call, float(line[name + "calls"]),
            **{part: float(line[name + title])
               for part, title in PARTS.items()}))
    return found


def write(path, latencies):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, latencies))


def read(path):
    """What write() wrote; nothing if there is no such file."""
    if not path.exists():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [Latency(**{key: text if key in COLUMNS[:3] else float(text)
                               for key, text in row.items()})
                    for row in csv.DictReader(file)]
    except (ValueError, TypeError) as error:
        raise LatencyError(f"{path}: {error}") from error


def telling(latencies):
    """Those from which percentiles can be read."""
    return [one for one in latencies if one.count >= CALLS_MIN]


def worst_call(latencies, name):
    """(largest p99.99, its place, places where a peer's is smaller)."""
    places = {}
    for one in telling(latencies):
        rows = places.setdefault((one.workload, one.call), {})
        rows[one.allocator] = one.p9999
    places = {place: rows for place, rows in places.items() if name in rows}
    if not places:
        return None, None, []
    behind = [place for place, rows in places.items()
              if any(value < rows[name] for peer, value in rows.items()
                     if is_peer(peer))]
    worst = max(places, key=lambda place: places[place][name])
    return places[worst][name], worst, behind


def means(latencies, name, call):
    """[part, ...]: geometric means over the workloads; of max the largest."""
    rows = [one for one in telling(latencies)
            if (one.allocator, one.call) == (name, call)]
    parts = [figures.geometric_mean([max(getattr(row, part), 1)
                                     for row in rows])
             for part in PARTS if part != "longest"]
    return [*parts, max(row.longest for row in rows)]
