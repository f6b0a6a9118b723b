#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gendoc - the reference pages, written from the tables in src/table/.

    tools/gendoc.py             write docs/{OPTIONS,SIZES,MISUSE,LOCKS}.md
    tools/gendoc.py --check     exit 1 if a page is not what would be written

A page says what its table says, in its rows and in the comment at its head,
and nothing else: to change a page, change the table. A table that cannot be
read ends the run with `file:line: what is wrong` and exit status 2.
"""

import argparse
import os
import re
import sys
import textwrap
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = "src/table"
COLUMNS = 80

# purpose: the sentence at the head; notes: {word: what the head says of it};
# heading: the comment above the rows; rows: lists of fields, as written.
Table = namedtuple("Table", "purpose notes heading rows")


class TableError(Exception):
    """A table is not written as this script expects."""


# -- reading a table --

def head_of(path, text):
    """The paragraphs of the comment at the head of a table."""
    found = re.search(r"^/\*\n(.*?)^ \*/$", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise TableError(f"{path}:2: say here, in a comment, what it lists")
    lines = [line[3:].rstrip() for line in found.group(1).splitlines()]
    paragraphs = "\n".join(lines).split("\n\n")
    return [p for p in paragraphs if not p.startswith("Consumers:")]


def notes_of(paragraphs):
    """What is said of a word: `word   text`, continued by indented lines."""
    notes, word = {}, None
    for line in "\n".join(paragraphs).splitlines():
        if line.startswith("Consumers:"):
            break
        begin = re.match(r"(\w+) {2,}(\S.*)$", line)
        if begin:
            word = begin.group(1)
            notes[word] = begin.group(2)
        elif word and line.startswith("  "):
            notes[word] += " " + line.strip()
        else:
            word = None
    return notes


def fields_of(inside):
    """The arguments of a row; a text loses its quotes."""
    fields = re.findall(r'"((?:\\.|[^"\\])*)"|([^\s,"][^,"]*)', inside)
    return [text or word.strip() for text, word in fields]


def read_table(name, macro, columns):
    """The table src/table/NAME.def, whose rows are MACRO(columns fields)."""
    path = f"{TABLES}/{name}.def"
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    paragraphs = head_of(path, text)
    begin = re.match(r"(\w+) - (.+)", paragraphs[0], re.DOTALL)
    if not begin or begin.group(1) != name:
        raise TableError(f"{path}:3: begin with `{name} - its purpose`")

    rows = []
    for match in re.finditer(rf"^{macro}\((.*?)\)$", text,
                             re.MULTILINE | re.DOTALL):
        fields = fields_of(match.group(1))
        if len(fields) != columns:
            line = text.count("\n", 0, match.start()) + 1
            raise TableError(f"{path}:{line}: {len(fields)} fields, "
                             f"{columns} expected")
        rows.append(fields)
    starts = len(re.findall(rf"^{macro}\(", text, re.MULTILINE))
    if not rows or starts != len(rows):
        raise TableError(f"{path}:1: {starts} rows begin, {len(rows)} end "
                         "with `)` and a new line")
    heading = re.findall(r"^/\* +(\S.*?) *\*/$", text, re.MULTILINE)
    purpose = " ".join(begin.group(2).split()).rstrip(".")
    return Table(purpose, notes_of(paragraphs), heading[-1], rows)


# -- writing a page --

def sentence(text):
    return text[:1].upper() + text[1:] + "."


def paragraph(text):
    """Wrapped, with nothing broken inside `quotes`."""
    glued = re.sub(r"`[^`]*`", lambda m: m.group().replace(" ", "\0"), text)
    lines = textwrap.wrap(glued, COLUMNS, break_long_words=False,
                          break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def cell(text):
    return text.replace("|", "\\|")


def markdown_table(names, rows, right=()):
    """A table; the columns whose numbers are in `right` are aligned so."""
    lines = ["| " + " | ".join(names) + " |",
             "|" + "|".join("---:" if i in right else "---"
                            for i in range(len(names))) + "|"]
    lines += ["| " + " | ".join(cell(field) for field in row) + " |"
              for row in rows]
    return "\n".join(lines)


def page(title, table, name, *parts):
    written = (f"Written by tools/gendoc.py from `{TABLES}/{name}.def`; "
               "change that, not this.")
    return "\n\n".join([f"# {title}", paragraph(written),
                        paragraph(sentence(table.purpose)), *parts]) + "\n"


def kinds_of(table):
    """The note `kind`: {kind: what its values are}."""
    kinds = {}
    for said in table.notes["kind"].split(";"):
        kind, _, values = said.strip().partition(" ")
        kinds[kind] = values
    return kinds


def default_of(kind, init):
    """A default as a user writes it; MISUSE_ABORT is written abort."""
    return init.removeprefix(kind + "_").lower()


def option_rows(table):
    kinds = kinds_of(table)
    for kind, name, init, low, high, about in table.rows:
        if kind not in kinds:
            raise TableError(f"{TABLES}/option.def:1: the head does not say "
                             f"what the kind {kind} is")
        values = kinds[kind]
        if "number" in values:
            values += f" ({low} to {high})"
        yield [f"`{name}`", values, f"`{default_of(kind, init)}`", about]


def options_page():
    table = read_table("option", "OPTION", 6)
    usage = paragraph(
        "The library reads the environment variable MALLOC_CONF when it is "
        "loaded: `key:value`, several separated by commas. `ashlar run --conf "
        "key:value` adds to it. A key that is not here, and a value that is "
        "not of its kind or out of its range, is named on stderr and "
        "otherwise left out.")
    return page("Options", table, "option", usage, markdown_table(
        ["key", "values", "default", "what it does"], option_rows(table)))


def sizes_page():
    table = read_table("size_class", "CLASS", 6)
    names = ["bytes", "slices", "blocks", "segment", "tail", "inside"]
    notes = "\n".join(
        textwrap.fill(f"- `{name}`: {table.notes[name]}", COLUMNS,
                      subsequent_indent="  ") for name in names)
    above = paragraph(
        f"Above {table.rows[-1][0]} bytes there are no classes: an object is "
        "a whole number of pages.")
    return page("Sizes", table, "size_class", notes,
                markdown_table(names, table.rows, right=range(6)), above)


def misuse_page():
    table = read_table("misuse", "MISUSE", 2)
    form = re.search(r'"(.+?)"', table.heading)
    if not form:
        raise TableError(f'{TABLES}/misuse.def:1: say above the rows how a '
                         'message is put together: message: "..."')
    options = read_table("option", "OPTION", 6)
    then = paragraph("".join(
        f"What follows is the option {name} ({values}; default {default}): "
        "`abort` writes the line and ends the process, `warn` writes it and "
        "returns, `ignore` returns in silence."
        for name, values, default, _ in option_rows(options)
        if name == "`on_misuse`"))
    said = paragraph(
        f"A report is one line, written to stderr at once: `{form.group(1)}`. "
        "CALL is the function that noticed: `malloc` for any that takes a "
        "list of free blocks over, `free` for `delete` and `free_sized` too. "
        "OF WHAT is there where it is known: `block of 48 bytes in a slab of "
        "this thread` (or of another thread, or of no thread), with the size "
        "of the class; `large object of 303104 bytes in a run of slices` (or "
        "in a mapping), in whole pages. `malloc_message`, if a program set "
        "it, is then called with the same line.")
    which = paragraph(
        "What is not noticed, or only with `hardening:1`, is in "
        "[LIMITS.md](LIMITS.md). `size` is reported with `hardening:1` only. "
        "There are no false reports: a block that merely looks as if it were "
        "free is searched for first, on the lists of its slab and among what "
        "threads have in hand.")
    rows = [[f"`{name}`", f"`{message}`"] for name, message in table.rows]
    return page("Misuse", table, "misuse", said, then,
                markdown_table(["name", "message"], rows), which)


def locks_page():
    table = read_table("lock", "LOCK", 2)
    rows = [[str(i), f"`{name}`", guards]
            for i, (name, guards) in enumerate(table.rows, 1)]
    checked = paragraph(
        "Debug builds check the order at every lock that is taken "
        "(src/sys/lock.c). What a fork does to a held lock is in "
        "[ARCHITECTURE.md](ARCHITECTURE.md).")
    return page("Locks", table, "lock",
                markdown_table(["order", "lock", "guards"], rows), checked)


PAGES = {
    "docs/OPTIONS.md": options_page,
    "docs/SIZES.md": sizes_page,
    "docs/MISUSE.md": misuse_page,
    "docs/LOCKS.md": locks_page,
}


# -- running --

def present(path):
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def main():
    parser = argparse.ArgumentParser(
        description="Writes the reference pages from src/table/*.def.")
    parser.add_argument("--check", action="store_true",
                        help="only say which pages are not current")
    arguments = parser.parse_args()
    try:
        wanted = {path: make() for path, make in PAGES.items()}
    except TableError as error:
        print(error, file=sys.stderr)
        return 2
    stale = [path for path in wanted if present(path) != wanted[path]]
    for path in stale:
        if arguments.check:
            print(f"{path}:1: not current; run tools/gendoc.py")
            continue
        os.makedirs(os.path.dirname(os.path.join(ROOT, path)), exist_ok=True)
        with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
            file.write(wanted[path])
        print(f"gendoc: wrote {path}")
    print(f"gendoc: {len(wanted)} pages, {len(stale)} "
          + ("not current" if arguments.check else "written"))
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
