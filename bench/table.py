# SPDX-License-Identifier: MIT
"""table - the workloads, read from the tables in workloads/."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path


class TableError(Exception):
    """A table says something that cannot be; the text says where and what."""


@dataclass(frozen=True)
class Workload:
    """One row; what each field means is in README.md."""
    group: str
    name: str
    stands_for: str
    command: tuple
    quick: tuple = ()
    threads: int = 1
    prepare: tuple = ()
    preload: str = "launcher"
    needs: tuple = ()


REQUIRED = {"name": str, "stands_for": str, "command": list}
OPTIONAL = {"quick": list, "threads": int, "prepare": list, "preload": str,
            "needs": list}
KINDS = {str: "a string", int: "a whole number", list: "a list of strings"}
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


def read_tables(folder):
    """Every workload of every table, in the order of the files and rows."""
    files = sorted(Path(folder).glob("*.toml"))
    if not files:
        raise TableError(f"{folder}: there is no table (*.toml)")
    workloads = [row for file in files for row in read_table(file)]
    seen = set()
    for workload in workloads:
        if workload.name in seen:
            raise TableError(f"{workload.group}.toml: there are two workloads "
                             f"called {workload.name}")
        seen.add(workload.name)
    return workloads


def read_table(file):
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{file}: {error}") from error
    if list(table) not in ([], ["workload"]):
        raise TableError(f"{file}: a table holds [[workload]] and nothing else")
    return [workload_of(file, number, row)
            for number, row in enumerate(table.get("workload", []), 1)]


def workload_of(file, number, row):
    where = f"{file}: workload {row.get('name', number)}"
    for key, value in row.items():
        kind = REQUIRED.get(key) or OPTIONAL.get(key)
        if kind is None:
            raise TableError(f"{where}: there is no key {key}")
        if type(value) is not kind or not all_words(value):
            raise TableError(f"{where}: {key} must be {KINDS[kind]}")
    for key in REQUIRED:
        if not row.get(key):
            raise TableError(f"{where}: {key} is missing")
    if not NAME.fullmatch(row["name"]):
        raise TableError(f"{where}: a name is made of a-z, 0-9, '.' and '-'")
    if row.get("preload", "self") != "self":
        raise TableError(f'{where}: preload can only be "self"')
    if row.get("threads", 1) < 1:
        raise TableError(f"{where}: threads must be 1 or more")
    fields = {key: tuple(value) if isinstance(value, list) else value
              for key, value in row.items()}
    fields["stands_for"] = " ".join(row["stands_for"].split())
    return Workload(group=file.stem, **fields)


def all_words(value):
    return not isinstance(value, list) or \
        all(isinstance(word, str) for word in value)


def fill(words, places):
    """The words of a command with {programs} and the like put in."""
    filled = []
    for word in words:
        for name, place in places.items():
            word = word.replace("{" + name + "}", str(place))
        filled.append(word)
    return filled
