#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run - the benchmark: measures every workload on every allocator.

`make bench` builds what this needs and calls it; README.md says the rest.
"""

import argparse
import re
import sys
from pathlib import Path

import latency
import machine
from allocator import AllocatorError, line_up
from process import Workplace
from race import Race, prepare
from report import read_report, write_about, write_report
from runs import RunsError, RunsFile
from table import TableError, read_tables

SOURCE = Path(__file__).resolve().parent
REPS, REPS_QUICK = 9, 3


def parse():
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="Measures every workload on every allocator.")
    add = parser.add_argument
    add("--quick", action="store_true",
        help=f"a fifth of the work, {REPS_QUICK} repetitions")
    add("--reps", type=int, metavar="N", help=f"repetitions (usually {REPS})")
    add("--only", metavar="REGEX", default="",
        help="only workloads whose names this finds something in")
    add("--group", metavar="G", help="only the workloads of one table")
    add("--alloc", metavar="NAME=PATH", action="append", default=[],
        help="one more library; names that begin with ashlar- are no peers")
    add("--allocators", metavar="A,B", default="",
        help="only these allocators")
    add("--latency", action="store_true",
        help="then each workload once more, for how long single calls take")
    add("--save", action="store_true",
        help="copy the summary to bench/results/, under its date")
    add("--from", metavar="RUNS.CSV", dest="earlier",
        help="measure nothing; make the report of these runs again")
    add("--list", action="store_true", help="print the workloads and end")
    add("--build", metavar="DIR", default=str(SOURCE.parent / "build"),
        help="where Ashlar and the programs are built")
    add("--out", metavar="DIR", help="where the results go (BUILD/bench)")
    add("--tables", metavar="DIR", default=str(SOURCE / "workloads"),
        help="other tables of workloads")
    options = parser.parse_args()
    options.reps = options.reps if options.reps is not None \
        else REPS_QUICK if options.quick else REPS
    if options.reps < 1:
        parser.error("--reps must be 1 or more")
    options.out = Path(options.out or Path(options.build) / "bench")
    return options


def choose(options):
    try:
        pattern = re.compile(options.only)
    except re.error as error:
        raise TableError(f"--only {options.only}: {error}") from error
    chosen = [one for one in read_tables(options.tables)
              if pattern.search(one.name)
              and options.group in (None, one.group)]
    if not chosen:
        raise TableError("no workload is chosen; --list prints them")
    return chosen


def list_workloads(workloads):
    for one in workloads:
        print(f"{one.group:8} {one.name:24} {one.stands_for}")


def measure(options):
    """Runs everything; the measurement is then in options.out.

    Answers whether it is complete.
    """
    workloads = choose(options)
    allocators = line_up(options.build, options.alloc,
                         [name for name in options.allocators.split(",")
                          if name])
    workplace = Workplace(options.build, options.out, SOURCE)
    if options.latency:
        latency.check(workplace)
    about = {"machine": machine.describe(SOURCE.parent, allocators),
             "quick": options.quick}
    ready, about["unprepared"] = prepare(workplace, workloads)
    about["stands_for"] = {one.name: one.stands_for for one in workloads}
    write_about(options.out, about)
    file = RunsFile(options.out / "runs.csv")
    (options.out / "latency.csv").unlink(missing_ok=True)
    try:
        Race(workplace, ready, allocators, options.reps,
             options.quick).run(file.add)
        if options.latency:
            latency.write(options.out / "latency.csv", latency.measure(
                workplace, ready, allocators, options.quick))
        return True
    except KeyboardInterrupt:
        print("\ninterrupted; the report is of what there is", flush=True)
        return False
    finally:
        file.close()


def save(report, text):
    day = report.about["machine"]["date"].split()[0]
    path = SOURCE / "results" / f"{day}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"saved as {path}")


def main():
    options = parse()
    if options.list:
        list_workloads(choose(options))
        return 0
    complete = options.earlier is not None or measure(options)
    runs_file = Path(options.earlier or options.out / "runs.csv")
    report = read_report(runs_file)
    text = write_report(report, runs_file.parent)
    print("\n" + text.partition("## Time\n")[0].rstrip())
    print(f"\nAll of it: {runs_file.parent / 'summary.md'}, bench.html and "
          "runs.csv beside it")
    if options.save and complete:
        save(report, text)
    failed = report.results.failures or report.about["unprepared"]
    return 0 if complete and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AllocatorError, TableError, RunsError,
            latency.LatencyError) as problem:
        sys.exit(f"bench: {problem}")
