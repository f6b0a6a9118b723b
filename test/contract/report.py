# SPDX-License-Identifier: MIT
"""report - the keys and the lines of what malloc_stats_print wrote.

Of JSON, each key with the kind of its value; of a text, each line with values
made alike (the names suite compares them). Rows of tables, which are numbers
alone, say nothing here.
"""
import json
import re

from pair import lines_of, run_program

# One letter leaves one thing out; and what clients ask for together.
LETTERS = ["", *"gmdablxeh", "mdablxe", "mdablxeg", "gmdablxeh", "zzz", "aa"]


def kind_of(value):
    if isinstance(value, bool):
        return "bool"
    return {int: "number", float: "number", str: "string",
            type(None): "null"}[type(value)]


def keys_of(value, path):
    """(path, kind) of everything in a JSON value. An arena's number is not
    part of a path, and the elements of an array are alike."""
    if isinstance(value, dict):
        for key, inner in value.items():
            shown = "ARENA" if key.isdigit() else key
            yield from keys_of(inner, f"{path}/{shown}")
    elif isinstance(value, list):
        yield f"{path}[]", "some" if value else "none"
        for inner in value:
            yield from keys_of(inner, f"{path}[]")
    else:
        yield path, kind_of(value)


def json_pairs(title, text):
    try:
        value = json.loads(text)
    except ValueError as error:
        yield title, f"no JSON: {error}"
        return
    yield title, "valid JSON"
    for key, kind in sorted(set(keys_of(value, ""))):
        yield f"{title}{key}", kind


def line_kinds(text):
    """Each different line once, without its numbers."""
    kinds = {}
    for line in text.splitlines():
        line = re.sub(r'"[^"]*"', "TEXT", line)
        line = re.sub(r"\b(?:true|false)\b", "BOOL", line)
        line = re.sub(r"-?\d+(\.\d+)?(?:[eE]\d+)?", "#", line)
        line = re.sub(r"\s+", " ", line).strip()
        if re.search(r"[A-Za-z]{2}", line):
            kinds[line] = True
    return kinds


def text_pairs(title, text):
    yield title, "a report" if text else "nothing"
    for line in line_kinds(text):
        yield f"{title} {line}", "there"


def pairs_of(title, run, text):
    if run.returncode != 0:
        yield from lines_of(run)
    elif "J" in title:
        yield from json_pairs(title, text)
    else:
        yield from text_pairs(title, text)


def say_printer(program, library, _):
    """Every letter, in both forms; then the report's own ways out."""
    for letters in LETTERS:
        for form in ("", "J"):
            run = run_program(program, library, form + letters)
            yield from pairs_of(f"\"{form}{letters}\"", run, run.stdout)
    run = run_program(program, library, "J", "itself")
    yield from pairs_of("J to stderr", run, run.stderr)
    conf = "prof:true,prof_stats:true,lg_prof_sample:10"
    for form in ("", "J"):
        run = run_program(program, library, form, conf=conf)
        yield from pairs_of(f"with profiles, \"{form}\"", run, run.stdout)
    for opts in ("J", "a"):
        conf = f"stats_print:true,stats_print_opts:{opts}"
        run = run_program(program, library, "x", conf=conf)
        yield from pairs_of(f"at exit, \"{opts}\"", run, run.stderr)
