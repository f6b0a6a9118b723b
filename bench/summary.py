# SPDX-License-Identifier: MIT
"""summary - a measurement as a text with tables (Markdown)."""

import latency
from allocator import OURS, TWIN, rank
from figures import LOSS, REPS_ENOUGH, UNRESOLVED, WIN
from goals import MEMORY_WORST_MAX, TIME_WORST_MAX, beyond, goals_of
from results import FAILED, MEMORY, TIME

MARKS = {True: "yes", False: "no", None: "?"}
METRICS = ((TIME, "time"), (MEMORY, "memory"))


def write_summary(report):
    """All lines of the summary of a report.Report."""
    results = report.results
    parts = [
        heading(report),
        section("Goals", goal_table(report), GOALS_NOTE),
        section("Means", table(*mean_rows(results)), MEANS_NOTE),
        section("Verdicts", table(*verdict_rows(results)), VERDICT_NOTE),
        section(f"Slower than {TIME_WORST_MAX:.2f} of the best peer, resolved",
                beyond_table(results, TIME)),
        section(f"More memory than {MEMORY_WORST_MAX:.2f} of the lowest peer",
                beyond_table(results, MEMORY)),
        section("Time", table(*ratio_rows(results, TIME)), RATIO_NOTE),
        section("Peak memory", table(*ratio_rows(results, MEMORY))),
        section("Latency", table(*latency_rows(report.latencies)),
                LATENCY_NOTE),
        section("Failures", failure_list(report)),
        section("Machine", machine_list(report)),
    ]
    return "\n".join(part for part in parts if part)


GOALS_NOTE = """\
Means are geometric, over the workloads; in brackets the 95 % interval."""

FEW_NOTE = """
With so few repetitions a verdict is a hint: chance alone wins some.
"""

MEANS_NOTE = """\
Geometric means over the workloads. The oracle takes, for each workload, the
peer that is best there. The twin is a copy of that peer: what it shows is what
picking the best of noisy figures costs by itself."""

VERDICT_NOTE = """\
Unresolved: the 95 % interval of the ratio to the best peer includes 1, or the
difference is not larger than the one between that peer and its own copy."""

LATENCY_NOTE = f"""\
Microseconds, of calls without a page fault, over the workloads with
{latency.CALLS_MIN:,} such calls or more: geometric means, but the largest
maximum."""

RATIO_NOTE = """\
Relative to the best peer's median, which is in the second column. "Noise" is
the twin relative to the peer it is a copy of; "spread" the middle half of our
runs, relative to their median."""


def table(head, rows):
    """Lines of a table, '' without rows: the first column to the left."""
    if not rows:
        return ""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
        + " |" for row in [cells[0], rule, *cells[1:]])


def section(title, *bodies):
    """Nothing if the first body is empty."""
    if not bodies[0]:
        return ""
    return f"## {title}\n\n" + "\n\n".join(bodies) + "\n"


def heading(report):
    about = report.about
    lines = [f"# Benchmark of {about['machine']['date']}", "",
             f"{len(report.results.workloads)} workloads, "
             f"{len(report.results.allocators)} allocators, "
             f"{report.results.reps} interleaved repetitions"
             + (", the quick variants" if about["quick"] else "")
             + f"; commit {about['machine']['commit']}."]
    if report.results.reps < REPS_ENOUGH:
        lines.append(FEW_NOTE.rstrip())
    return "\n".join(lines) + "\n"


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def goal_table(report):
    if not report.results.has_ours():
        return ""
    return table(["what", "goal", "reached", "met"],
                 [[goal.what, goal.goal, goal.reached, MARKS[goal.met]]
                  for goal in goals_of(report.results, report.latencies)])


def mean_rows(results):
    """Each allocator to the oracle; ours to each allocator."""
    head = ["allocator", "time to oracle", "memory to oracle"]
    if results.has_ours():
        head += [f"{OURS}'s time to it", f"{OURS}'s memory to it"]
    rows = []
    for name in results.allocators:
        to_oracle = [results.mean(name, metric) for metric, _ in METRICS]
        missing = len(results.workloads) - to_oracle[0][1]
        row = [name + (f" (without {missing})" if missing else "")]
        row += [number(mean, 3) for mean, _ in to_oracle]
        if results.has_ours():
            row += ["" if name == OURS else
                    number(results.mean(OURS, metric, name)[0], 3)
                    for metric, _ in METRICS]
        rows.append(row)
    twin, count = results.mean(TWIN, TIME)
    if count:
        rows.append([TWIN, number(twin, 3)] + [""] * (len(head) - 2))
    return head, rows


def verdict_rows(results):
    """Of ours, by group: the means to the oracle, and how often what."""
    head = ["group", "workloads"]
    for _, title in METRICS:
        head += [title, "won", "lost", "unresolved", "failed"]
    if not results.has_ours():
        return head, []
    compared = {metric: results.comparisons(metric) for metric, _ in METRICS}
    rows = []
    groups = {**results.by_group(), "all": results.workloads}
    for group, workloads in groups.items():
        row = [group, len(workloads)]
        for metric, _ in METRICS:
            verdicts = [one.verdict for one in compared[metric]
                        if one.workload in workloads]
            row.append(number(
                results.mean(OURS, metric, workloads=workloads)[0], 3))
            row += [verdicts.count(kind)
                    for kind in (WIN, LOSS, UNRESOLVED, FAILED)]
        rows.append(row)
    return head, rows


def beyond_table(results, metric):
    if not results.has_ours() or not results.peers:
        return ""
    rows = [[one.workload, one.best, number(one.ratio), bounds(one),
             number(one.twin), one.verdict]
            for one in beyond(results, metric)]
    if not rows:
        return "None."
    return table(["workload", "best peer", f"{OURS} to it", "95 % interval",
                  "noise", "verdict"], rows)


def bounds(comparison):
    if comparison.bounds is None:
        return "–"
    return "%.2f to %.2f" % comparison.bounds


def ratio_rows(results, metric):
    """A row for each workload: every allocator to the best peer."""
    head = ["workload", "best peer", *results.allocators]
    if results.has_ours():
        head += ["verdict", "noise", "spread"]
    rows = []
    for workload in results.workloads:
        best = results.best(workload, metric)
        row = [workload, amount(results.middle(workload, best, metric), metric)]
        row += [cell(results, workload, name, metric)
                for name in results.allocators]
        if results.has_ours():
            one = results.compare(workload, metric)
            row += [one.verdict, number(one.twin),
                    f"{100 * one.spread:.0f} %"] if one else ["–"] * 3
        rows.append(row)
    return head, rows


def amount(value, metric):
    if value is None:
        return "–"
    return f"{1000 * value:.0f} ms" if metric == TIME \
        else f"{value / 1024:.1f} MiB"


def cell(results, workload, name, metric):
    if (workload, name) in results.failures:
        return FAILED
    return number(results.ratio(workload, name, metric))


def latency_rows(latencies):
    """Microseconds: means of percentiles over the workloads."""
    rows = []
    latencies = latency.telling(latencies)
    for name, call in sorted({(one.allocator, one.call) for one in latencies},
                             key=lambda pair: (pair[1], rank(pair[0]))):
        own = [one for one in latencies if one.call == call]
        worst, place, _ = latency.worst_call(own, name)
        rows.append([name, call,
                     *(number(part / 1000, 3)
                       for part in latency.means(latencies, name, call)),
                     f"{worst / 1000:.1f} ({place[0]})"])
    return ["allocator", "call", *latency.PARTS.values(), "largest p99.99"], \
        rows


def failure_list(report):
    lines = [f"- {workload}, not run: {reason}"
             for workload, reason in report.about["unprepared"].items()]
    for (workload, name), run in report.results.failures.items():
        said = "\n".join("      " + line for line in run.reason.splitlines())
        lines.append(f"- {workload} on {name}, repetition {run.rep}: "
                     f"{run.status}\n\n{said}\n")
    return "\n".join(lines)


def machine_list(report):
    return "\n".join(f"- {what}: {text}"
                     for what, text in report.about["machine"].items())
