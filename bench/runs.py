# SPDX-License-Identifier: MIT
"""runs - single runs, as they are written to and read from runs.csv."""

import csv
from dataclasses import asdict, dataclass, fields

OK, FAILED, TIMEOUT = "ok", "failed", "timeout"


class RunsError(Exception):
    """A file of runs that cannot be read; the text says why."""


@dataclass
class Run:
    """One process. seconds and peak_kb are what counts; None: not known."""
    rep: int
    group: str
    workload: str
    threads: int
    allocator: str
    copy_of: str = ""           # of a twin: which peer it is
    status: str = OK
    seconds: float = None
    peak_kb: float = None
    wall: float = None
    user: float = None
    system: float = None
    minor: float = None
    major: float = None
    ops: float = None
    live_kb: float = None
    rss_kb: float = None
    reason: str = ""            # of a failure


COLUMNS = [field.name for field in fields(Run)]
INTEGERS = {"rep", "threads"}
WORDS = {"group", "workload", "allocator", "copy_of", "status", "reason"}


class RunsFile:
    """Written line by line: what was measured survives an interruption."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.file, COLUMNS, lineterminator="\n")
        self.writer.writeheader()

    def add(self, run):
        self.writer.writerow({key: "" if value is None else value
                              for key, value in asdict(run).items()})
        self.file.flush()

    def close(self):
        self.file.close()


def read_runs(path):
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != COLUMNS:
                raise RunsError(f"{path}: its first line must be "
                                + ",".join(COLUMNS))
            return [Run(**{key: cell_of(key, text)
                           for key, text in row.items()}) for row in rows]
    except (OSError, ValueError, AttributeError) as error:
        raise RunsError(f"{path}: {error}") from error


def cell_of(key, text):
    if key in WORDS:
        return text
    if key in INTEGERS:
        return int(text)
    return float(text) if text else None
