# SPDX-License-Identifier: MIT
"""report - a measurement as a whole: its folder, written and read again.

    runs.csv        every run, as soon as it was there
    about.json      the machine, what each workload stands for, what was asked
    latency.csv     only with --latency
    summary.md bench.html    made from the others, at any time
"""

import json
from dataclasses import dataclass
from pathlib import Path

import latency
from page import write_page
from results import Results
from runs import RunsError, read_runs
from summary import write_summary


@dataclass
class Report:
    results: Results
    about: dict
    latencies: list


def write_about(folder, about):
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    (folder / "about.json").write_text(text, encoding="utf-8")


def read_report(runs_file):
    """The measurement that a runs.csv and the files beside it hold."""
    runs_file = Path(runs_file)
    runs = read_runs(runs_file)
    if not runs:
        raise RunsError(f"{runs_file}: there is no run in it")
    try:
        text = (runs_file.parent / "about.json").read_text(encoding="utf-8")
        about = json.loads(text)
    except (OSError, ValueError) as error:
        raise RunsError(f"{runs_file} needs its about.json: {error}") from error
    return Report(Results(runs), about,
                  latency.read(runs_file.parent / "latency.csv"))


def write_report(report, folder):
    """The summary's text, which is also in the folder beside the page."""
    text = write_summary(report)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    (folder / "bench.html").write_text(write_page(report), encoding="utf-8")
    return text
