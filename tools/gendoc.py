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


# What opt.NAME is read as, by the name that src/table/option.h has for it.
OPTION_TYPES = {
    "OPTION_BOOL": "bool", "OPTION_UNSIGNED": "unsigned",
    "OPTION_SIZE": "size_t", "OPTION_SSIZE": "ssize_t",
    "OPTION_U32": "uint32_t", "OPTION_I64": "int64_t",
    "OPTION_U64": "uint64_t", "OPTION_STRING": "const char *",
}

# Limits as a reader knows them.
LIMITS = {
    "SIZE_MAX": "2^64-1", "UINT64_MAX": "2^64-1", "INT64_MAX": "2^63-1",
    "UINT_MAX": "2^32-1", "UINT32_MAX": "2^32-1",
    "0x7000000000000000": "7 EiB",
}


def option_types():
    """{kind: the C type of opt.NAME}, from the list in option.h."""
    path = f"{TABLES}/option.h"
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        found = re.findall(r"^ +KIND\((\w+), .*, (\w+)\)", file.read(),
                           re.MULTILINE)
    if not found:
        raise TableError(f"{path}:1: there is no list KIND(kind, field, type)")
    return {kind: OPTION_TYPES[name] for kind, name in found}


def ratio_of(units):
    """Units of 1/65536 as a decimal fraction."""
    return f"{int(units) / 65536:.5f}".rstrip("0").rstrip(".")


def default_of(kind, init):
    """A default as a user writes it; MISUSE_ABORT is written abort."""
    if kind == "RATIO":
        return ratio_of(init)
    if kind == "ARENAS":
        return "default"
    return init.removeprefix(kind + "_").lower()


def values_of(row, kinds):
    """What may be written, and what happens beyond the limits."""
    kind, _, _, low, high, beyond, _, _ = row
    said = kinds[kind]
    if kind == "RATIO":
        top = "65535.99998" if high == "UINT32_MAX" else ratio_of(high)
        return f"{said}, 0 to {top}" + (", or -1" if low == "-1" else "")
    if kind == "TEXT":
        return f"{said} of at most {high} bytes; the rest is cut off"
    if "number" not in said or (kind == "LIST" and beyond == "CLIP"):
        return said
    limits = f"{LIMITS.get(low, low)} to {LIMITS.get(high, high)}"
    then = "clipped" if beyond == "CLIP" else "else an error"
    return f"{said}, {limits}, {then}"


def option_rows(table, wanted=("IN_FORCE", "ACCEPTED", "NOT_BUILT")):
    kinds, types = kinds_of(table), option_types()
    for row in table.rows:
        kind, name, init, _, _, _, status, about = row
        if kind not in kinds or kind not in types:
            raise TableError(f"{TABLES}/option.def:1: the head, or option.h, "
                             f"does not say what the kind {kind} is")
        if status in wanted:
            yield [f"`{name}`", f"`{types[kind]}`", values_of(row, kinds),
                   f"`{default_of(kind, init)}`" if init else "", about]


OPTION_USAGE = [
    "## How settings are written",
    "`key:value[,key:value]...`, without white space or suffixes. A key is "
    "letters, digits and `_`; a value goes to the next comma. Numbers are "
    "decimal, `0x` hexadecimal or `0` octal; a negative one where none may be "
    "stands for 2^64 less its amount, as in jemalloc. Words are written in "
    "full. A list is `lo-hi:number|lo-hi:number`, of sizes.",
    "The texts are read in this order, when the library is loaded; a later "
    "setting replaces an earlier one:",
    "1. what the library was built with (`cmake -DASHLAR_MALLOC_CONF=...`);\n"
    "2. the variable `const char *malloc_conf`, if the program defines it;\n"
    "3. the target of the symbolic link `/etc/malloc.conf`;\n"
    "4. the environment variable `MALLOC_CONF`, but not in a process with "
    "more\n   rights than its caller (set-user-id); `ashlar run --conf "
    "key:value` adds to\n   it;\n"
    "5. the variable `const char *malloc_conf_2_conf_harder`.",
    "In a build with the prefix `je_` they are `je_malloc_conf`, "
    "`/etc/je_malloc.conf`, `JE_MALLOC_CONF` and "
    "`je_malloc_conf_2_conf_harder`. Memory that is taken before the library "
    "is loaded in full, by other libraries' start, is taken with the "
    "defaults. mallctl shows the texts as `opt.malloc_conf.*`, to 4095 bytes.",
    "## What is said",
    "Lines that begin with `<jemalloc>: ` are those of jemalloc 5.3.1, word "
    "for word. They go to `malloc_message`, or to stderr if that is NULL. An "
    "unknown key is named, and in a second line, which begins with "
    "`<ashlar>: `, the nearest that there is; so is a value that is not of "
    "its kind or out of its range. Either is left out, and the rest is taken. "
    "A text that is malformed loses its rest, and is complained of twice. "
    "`confirm_conf:true` shows every text and every setting that is taken. "
    "`abort_conf:true` ends the process at the end of a text if anything was "
    "wrong, unless it was an unknown key that begins with `experimental_`.",
]


def options_page():
    table = read_table("option", "OPTION", 8)
    names = ["key", "type", "values", "default", "what it does"]
    intro = paragraph(
        "`type` is what mallctl reads `opt.KEY` as. Keys of jemalloc 5.3.0 to "
        "5.4.0 are all here: those of the first table do what they say, those "
        "of the second are accepted, as what jemalloc does with them has no "
        "counterpart here: they are checked, kept, and read again as "
        "`opt.KEY`; those of the third are of parts that are not built, "
        "and mallctl answers ENOENT. Where a default differs from jemalloc's, it is what "
        "Ashlar does.")
    return page(
        "Options", table, "option", intro,
        "## In force",
        markdown_table(names, option_rows(table, ["IN_FORCE"])),
        "## Accepted",
        markdown_table(names, option_rows(table, ["ACCEPTED"])),
        "## Accepted, and not read by mallctl",
        markdown_table(names, option_rows(table, ["NOT_BUILT"])),
        *[text if text[:2] in ("##", "1.") else paragraph(text)
          for text in OPTION_USAGE])


def sizes_page():
    table = read_table("size_class", "CLASS", 6)
    # The rows of a build of quantum 8 come first.
    border = [row[0] for row in table.rows].index("64") + 1
    fine, rows = table.rows[:border], table.rows[border:]
    names = ["bytes", "slices", "blocks", "segment", "tail", "inside"]
    notes = "\n".join(
        textwrap.fill(f"- `{name}`: {table.notes[name]}", COLUMNS,
                      subsequent_indent="  ") for name in names)
    above = paragraph(
        f"Above {rows[-1][0]} bytes there are no classes: an object is a whole "
        "number of pages.")
    quantum = paragraph(
        "`cmake -DASHLAR_QUANTUM=8` builds a library whose classes up to 64 "
        "bytes are these, as in a jemalloc that is configured "
        "`--with-lg-quantum=3`; above they are the same. Its blocks of 8, 24, "
        "40 and 56 bytes are aligned to 8 bytes.")
    return page("Sizes", table, "size_class", notes,
                markdown_table(names, rows, right=range(6)), above,
                "## Quantum 8", quantum,
                markdown_table(names, fine, right=range(6)))


def misuse_page():
    table = read_table("misuse", "MISUSE", 2)
    form = re.search(r'"(.+?)"', table.heading)
    if not form:
        raise TableError(f'{TABLES}/misuse.def:1: say above the rows how a '
                         'message is put together: message: "..."')
    options = read_table("option", "OPTION", 8)
    then = paragraph("".join(
        f"What follows is the option {name} ({values}; default {default}): "
        "`abort` writes the line and ends the process, `warn` writes it and "
        "returns, `ignore` returns in silence."
        for name, _, values, default, _ in option_rows(options)
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


# -- the names of mallctl --

# rows of one name each: (name, read, written, access, status, about)
CtlFamily = namedtuple("CtlFamily", "head parameters body about")


def arguments_of(inside):
    """What stands between commas, but for those within brackets or quotes."""
    found = re.findall(r'(?:"(?:\\.|[^"\\])*"|\([^()]*(?:\([^()]*\)[^()]*)*\)'
                       r"|[^,()\"])+", inside)
    return [" ".join(argument.split()) for argument in found]


def calls_of(text):
    """(macro, arguments) of each row; rows end with `)` and a new line."""
    for match in re.finditer(r"^(\w+)\((.*?)\)$", text,
                             re.MULTILINE | re.DOTALL):
        yield match.group(1), arguments_of(match.group(2))


def ctl_families(text):
    """The macros at the head of ctl.def, each with the comment above it."""
    families = {}
    for match in re.finditer(
            r"^/\* ([^\n]*) \*/\n#define (\w+)\(([^)]*)\) *\\?\n?"
            r"((?:.*\\\n)*.*\n)", text, re.MULTILINE):
        about, head, parameters, body = match.groups()
        lines = [line.strip() for line in body.replace("\\\n", "\n").split("\n")]
        joined = re.sub(r",\n", ", ", "\n".join(filter(None, lines)))
        families[head] = CtlFamily(head, arguments_of(parameters), joined,
                                   about)
    return families


def quoted(literals):
    """What C makes of string literals side by side."""
    return "".join(re.findall(r'"([^"]*)"', literals))


def ctl_expand(families, macro, arguments):
    """The CTL rows that a row stands for."""
    if macro == "CTL":
        name, read, written, access, _, _, status, about = arguments
        yield quoted(name), read, written, access, status, quoted(about)
        return
    family = families[macro]
    given = dict(zip(family.parameters, arguments))
    body = re.sub(r"\b(%s)\b(?=[^\"]*(?:\"[^\"]*\"[^\"]*)*$)"
                  % "|".join(given), lambda m: given[m.group()], family.body,
                  flags=re.MULTILINE)
    for inner, inside in calls_of(body):
        yield from ctl_expand(families, inner, inside)


def ctl_type(read, written):
    if "void" in (read, written):
        return next((f"`{t}`" for t in (read, written) if t != "void"), "")
    return f"`{read}`" if read == written else f"`{read}` / `{written}`"


def ctl_cells(row):
    name, read, written, access, status, about = row
    return [f"`{name}`", ctl_type(read, written), f"`{access}`", status, about]


CTL_COLUMNS = ["name", "type", "access", "status", "meaning"]


def ctl_heading(family):
    return re.split("[:,.]", family.about)[0]


def ctl_section(families, rows):
    cells = []
    for macro, arguments in rows:
        expanded = list(ctl_expand(families, macro, arguments))
        if len(expanded) == 1:
            cells.append(ctl_cells(expanded[0]))
            continue
        path = arguments[0].strip('"')
        heading = ctl_heading(families[macro])
        slug = heading.lower().replace(" ", "-")
        states = "/".join(sorted({row[4] for row in expanded}))
        said = quoted(arguments[-1]) if len(arguments) > 2 else ""
        cells.append([f"`{path}.*`", "", "`r-`", states,
                      f"[{heading.lower()}](#{slug})"
                      + (f"; {said}" if said else "")])
    return markdown_table(CTL_COLUMNS, cells)


def ctl_family_section(families, macro):
    family = families[macro]
    rows = ctl_expand(families, macro, ['""'] + family.parameters[1:])
    cells = [[f"`{name}`", f"`{read}`", about.lstrip(": ")]
             for name, read, _, _, _, about in rows]
    return f"## {ctl_heading(family)}\n\n" + markdown_table(
        ["name", "type", "meaning"], cells)


def ctl_page():
    path = f"{TABLES}/ctl.def"
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    paragraphs = head_of(path, text)
    table = Table(" ".join(paragraphs[0].split(" - ", 1)[1].split())
                  .rstrip("."), notes_of(paragraphs), "", [])
    families = ctl_families(text)
    parts, many = [], {}
    pieces = re.split(r"^/\* -- (.*?) -- \*/$", text, flags=re.MULTILINE)
    for title, piece in zip(pieces[1::2], pieces[2::2]):
        rows = [(macro, arguments) for macro, arguments in calls_of(piece)
                if macro != "INDEX"]
        parts += [f"## {sentence(title)[:-1]}", ctl_section(families, rows)]
        many.update((macro, None) for macro, arguments in rows
                    if len(list(ctl_expand(families, macro, arguments))) > 1)
    parts += [ctl_family_section(families, macro) for macro in many]
    words = "\n".join(
        textwrap.fill(f"- `{said.strip().partition(':')[0]}`: "
                      f"{said.strip().partition(':')[2].strip()}", COLUMNS,
                      subsequent_indent="  ")
        for said in table.notes["status"].split(";"))
    options = paragraph(
        "`opt.NAME` is there for every row of [OPTIONS.md](OPTIONS.md), read "
        "only, as it was at the start. `mallctl(\"ctl.list\")` has all names "
        "as text. An index `<i>` is written as a number. Access is `r-`: read "
        "only; `rw`; `-w`: written only; `--`: an action.")
    return page("mallctl", table, "ctl", options, words, *parts)


PAGES = {
    "docs/OPTIONS.md": options_page,
    "docs/SIZES.md": sizes_page,
    "docs/MISUSE.md": misuse_page,
    "docs/LOCKS.md": locks_page,
    "docs/CTL.md": ctl_page,
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
