#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidy - the project's style, as a test.

    tools/tidy.py [--root FOLDER]   check the tree; exit 1 if there is a finding
    tools/tidy.py --self-test       break each rule once; each must be found

Every finding is a line `file:line: rule: what to do`. A rule is a generator
decorated with @rule("name"); it is given the whole tree and yields findings.
Where the tree departs from a rule on purpose, the departure is an entry in the
tables at the head of this file, with its reason, and nowhere else.
"""

import argparse
import bisect
import os
import re
import sys
import tempfile
from collections import namedtuple

# -- what may differ, and why --

# Alphabetical order is layer order: includes only go down this list.
LAYERS = ["api", "ctl", "guard", "heap", "ledger", "page", "sys", "table",
          "util"]

# Layers without a face: each of their headers is a small thing of its own.
FACELESS = {"table", "util"}

# Headers that other layers may include although they are not faces.
MAY_INCLUDE = {
    "ctl/print.h": {"api"},                 # the statistics, as text or JSON
    "heap/fast.h": {"api"},                 # malloc is compiled from it
    "heap/thread.h": {"api", "ctl"},        # the tier of threads, and news
    "heap/second.h": {"api"},               # what fills objects, at start
    "heap/arenas.h": {"api", "ctl"},        # what programs ask of arenas, and
    "heap/cache.h": {"api", "ctl"},         # of explicit caches
    "heap/request.h": {"api", "ctl"},
    "heap/sample.h": {"ctl"},               # whether there are samples
    "heap/count.h": {"api", "ctl"},
    "heap/hand.h": {"api"},                 # what stays in hand, at start
    "heap/stats.h": {"api", "ctl"},
    "heap/watch.h": {"ctl"},
    "sys/lock.h": {"page", "ledger", "heap", "ctl", "api"},  # locks lie inside their structs
}

# Functions with a signature that somebody else fixed.
GIVEN_SIGNATURES = {"mmap", "mmap64", "ctl_by_mib", "api_mallctlbymib"}
GIVEN_PARAMETER = re.compile(r"\bextent_hooks(_s|_t)? \*")

FUNCTION_LINES_MAX = 70
NESTING_MAX = 4
PARAMETERS_MAX = 5
FILE_LINES_MAX = 600
COLUMNS_MAX = {".c": 80, ".h": 80, ".def": 120}


def word(*names):
    """Matches any of the names, as a call of a plain function."""
    return re.compile(r"(?<![\w.>])(?:%s)\s*\(" % "|".join(names))


# (pattern, layers and files where it is allowed, what to do instead)
BANNED = [
    (word("malloc", "calloc", "realloc", "free", "memalign",
          "aligned_alloc", "posix_memalign", "strdup"),
     {"api"}, "the library must not call malloc; take memory from page/"),
    (word("printf", "fprintf", "sprintf", "snprintf", "vsnprintf",
          "vfprintf", "puts", "fputs", "perror"),
     set(), "stdio allocates; write the text with util/text.h"),
    (word("assert"), set(), "use ASSERT or CHECK"),
    (word("abort", "exit", "_exit", "raise", "kill"),
     {"sys"}, "only sys/ ends the process; use panic() or misuse()"),
    (re.compile(r"_explicit\(.*\bmemory_order_seq_cst\b"), set(),
     "name the order that is needed, and its partner"),
    (re.compile(r"\batomic_\w+\s*\(|\bmemory_order_\w+|<stdatomic\.h>"
                r"|\b__atomic_\w+|\b__sync_\w+"),
     {"util/atomic.h"}, "use the names of util/atomic.h"),
    (re.compile(r"\berrno\b(?!\.h>)"), {"api", "sys"},
     "return a result; api/ sets errno"),
    (re.compile(r"#\s*include\s*<(?:sys|linux|asm)/"), {"sys"},
     "only sys/ knows the system's headers"),
    (word("syscall", "mmap", "munmap", "mremap", "madvise", "mprotect",
          "mincore", "prctl", "sysconf", "getpagesize", "open", "read",
          "write", "close", "getenv", "secure_getenv", "clock_gettime",
          "sched_yield", "getrandom"),
     {"sys"}, "only sys/ calls the system; add a function to sys/sys.h"),
]

# Folders with code that is ours to check.
CODE_FOLDERS = [
    "src", "include", "cli", "examples", "bench", "test", "tools", "cmake",
    ".ci"]
SKIPPED_FOLDERS = {".git", "__pycache__"}

Finding = namedtuple("Finding", "path line rule message")
Function = namedtuple("Function", "name first last parameters nesting")

RULES = {}


def rule(name):
    """Registers a generator of (path, line, what to do) under a name."""
    def register(function):
        RULES[name] = function
        return function
    return register


# -- reading C --

C_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.VERBOSE)


def blank(text):
    """The same text with every character but line ends made a space."""
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One text file: its lines, and for C its code apart from its comments."""

    def __init__(self, root, path):
        self.path = path
        self.extension = os.path.splitext(path)[1]
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        self.is_c = self.extension in (".c", ".h", ".def", ".cc", ".cpp")
        parts = path.split("/")
        self.layer = parts[1] if parts[0] == "src" and len(parts) == 3 else None
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        if self.is_c:
            self.read_c()

    def read_c(self):
        code, comments, directives, at = [], [], [], 0
        self.comment_spans = []
        for match in C_TOKEN.finditer(self.text):
            between = self.text[at:match.start()]
            code.append(between)
            comments.append(blank(between))
            found = match.group()
            if match.lastgroup == "comment":
                code.append(blank(found))
                comments.append(found)
                self.comment_spans.append(match.span())
            else:
                inner = blank(found[1:-1])
                code.append(found[0] + inner + found[-1])
                comments.append(blank(found))
            at = match.end()
        code.append(self.text[at:])
        comments.append(blank(self.text[at:]))
        self.code = "".join(code)
        self.comments = "".join(comments)
        directives = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
        self.directives = list(directives.finditer(self.code))
        self.body = directives.sub(lambda m: blank(m.group()), self.code)
        self.functions = list(find_functions(self))

    def line_of(self, position):
        return bisect.bisect_right(self.starts, position)

    def line_text(self, of, line):
        """Line number `line` (from 1) of self.code or self.comments."""
        return of[self.starts[line - 1]:self.starts[line] - 1]

    def includes(self):
        """(line, target, is_system) for each #include."""
        pattern = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
        for directive in self.directives:
            line = self.line_of(directive.start())
            match = pattern.match(self.lines[line - 1])
            if match:
                yield line, match.group(2), match.group(1) == "<"

    def header_comment(self):
        """The comment that starts on line 2, or ''."""
        if len(self.lines) < 2 or not self.lines[1].startswith("/*"):
            return ""
        for begin, end in self.comment_spans:
            if self.line_of(begin) == 2:
                return self.text[begin:end]
        return ""


def closing(text, at):
    """The position of the bracket that closes the one at `at`, or -1."""
    pairs = {"(": ")", "{": "}"}
    depth = 0
    for position in range(at, len(text)):
        if text[position] == text[at]:
            depth += 1
        elif text[position] == pairs[text[at]]:
            depth -= 1
            if depth == 0:
                return position
    return -1


def signature_of(head):
    """(name, parameter list) of a function's head, or None.

    NAME(malloc)(size_t size) is a function called malloc; a name in capitals
    before the first plain one is an attribute or, alone, a test's TEST(...).
    """
    groups = []
    for match in re.finditer(r"(\w+)?\s*\(", head):
        if groups and match.start() < groups[-1][2]:
            continue
        end = closing(head, match.end() - 1)
        if end < 0:
            return None
        inner = head[match.end():end].strip()
        groups.append((match.group(1), inner, end))
    for index, (name, inner, end) in enumerate(groups):
        if name is None or name.startswith("__") or name == "_Alignas":
            continue
        if not name.isupper():
            return name, inner
        after = groups[index + 1] if index + 1 < len(groups) else None
        if after and after[0] is None and head[end + 1:].lstrip()[:1] == "(":
            return inner, after[1]
    if groups and groups[-1][0]:
        return groups[-1][1].replace(",", " "), ""
    return None


def parameter_count(inner):
    if inner in ("", "void"):
        return 0
    depth, count = 0, 1
    for character in inner:
        depth += {"(": 1, ")": -1}.get(character, 0)
        count += character == "," and depth == 0
    return count


def nesting_of(body):
    """How deep statements lie in blocks; the function's own is not counted."""
    deepest, stack = 0, []
    for match in re.finditer(r"[{}]", body):
        if match.group() == "}":
            if stack:
                stack.pop()
            continue
        before = body[:match.start()].rstrip()
        is_block = before.endswith((")", ";", "{", "}", ":")) \
            or re.search(r"\b(else|do)$", before) is not None
        stack.append(is_block)
        deepest = max(deepest, sum(stack))
    return deepest


def find_functions(source):
    """Every function defined in a C file, in its order."""
    text, start, at = source.body, 0, 0
    pattern = re.compile(r"[;{}]")
    while True:
        match = pattern.search(text, at)
        if not match:
            return
        at = match.end()
        if match.group() != "{":
            start = at
            continue
        head = text[start:match.start()]
        if re.match(r'\s*extern\s+" "\s*$', head) or \
                re.match(r'\s*extern\s+"\s*"\s*$', head):
            start = at              # what it holds is at the top level
            continue
        end = closing(text, match.start())
        if end < 0:
            return
        plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S)
        signature = None
        if "(" in plain and "=" not in plain:
            signature = signature_of(plain)
        if signature:
            name, inner = signature
            first = start + len(head) - len(head.lstrip())
            yield Function(name, source.line_of(first), source.line_of(end),
                           parameter_count(inner),
                           nesting_of(text[match.end():end]))
        at = start = end + 1


class Tree:
    """Every file that is checked, read once."""

    def __init__(self, root):
        self.root = root
        self.sources = {}
        for path in sorted(self.walk()):
            self.sources[path] = Source(root, path)

    def walk(self):
        for folder in CODE_FOLDERS + ["docs"]:
            for at, folders, files in os.walk(os.path.join(self.root, folder)):
                folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
                for name in files:
                    path = os.path.relpath(os.path.join(at, name), self.root)
                    if self.is_text(path):
                        yield path
        for name in os.listdir(self.root):
            if self.is_text(name) and os.path.isfile(self.absolute(name)):
                yield name

    @staticmethod
    def is_text(path):
        name = os.path.basename(path)
        return name in ("Makefile", "CMakeLists.txt", "run") or \
            os.path.splitext(name)[1] in (
                ".c", ".h", ".def", ".cc", ".cpp", ".py", ".sh", ".cmake",
                ".in", ".md", ".json")

    def absolute(self, path):
        return os.path.join(self.root, path)

    def exists(self, path):
        return os.path.exists(self.absolute(path))

    def c_files(self, *folders):
        for source in self.sources.values():
            if source.is_c and (not folders or
                                source.path.split("/")[0] in folders):
                yield source

    def functions(self):
        return ((s, function) for s in self.c_files()
                for function in s.functions)

    def layered(self):
        return (s for s in self.c_files("src") if s.layer in LAYERS)


# -- rules: includes --

@rule("layer")
def check_layer(tree):
    for source in tree.c_files("src"):
        if source.layer not in LAYERS:
            yield (source.path, 1,
                   "move it to src/LAYER/; the layers are " + " ".join(LAYERS))


@rule("include-direction")
def check_include_direction(tree):
    for source in tree.layered():
        for line, target, is_system in source.includes():
            if is_system or target.startswith("ashlar/"):
                continue
            layer = target.split("/")[0]
            if "/" not in target or layer not in LAYERS:
                yield source.path, line, f'write "LAYER/{target}"'
            elif layer < source.layer:
                yield (source.path, line,
                       f"{source.layer}/ is below {layer}/ and must not know "
                       "it; return a value or take a function pointer")


@rule("faces-only")
def check_faces(tree):
    for source in tree.layered():
        for line, target, is_system in source.includes():
            layer = target.split("/")[0]
            if is_system or layer not in LAYERS or layer <= source.layer:
                continue
            if layer in FACELESS or target == f"{layer}/{layer}.h":
                continue
            if source.layer not in MAY_INCLUDE.get(target, ()):
                yield (source.path, line,
                       f'across layers include "{layer}/{layer}.h" only')


@rule("own-header-first")
def check_own_header(tree):
    for source in tree.layered():
        if source.extension != ".c":
            continue
        own = source.path[len("src/"):-len(".c")] + ".h"
        face = f"{source.layer}/{source.layer}.h"
        if tree.exists("src/" + own):
            allowed = [own]
        elif tree.exists("src/" + face):
            allowed = [face]
        else:
            continue
        first = next(source.includes(), None)
        if first is None or first[1] not in allowed:
            yield (source.path, first[0] if first else 1,
                   f'include "{allowed[0]}" before anything else')


# -- rules: size and layout --

@rule("function-length")
def check_function_length(tree):
    for source, function in tree.functions():
        length = function.last - function.first + 1
        if length > FUNCTION_LINES_MAX:
            yield (source.path, function.first,
                   f"{function.name} has {length} lines; split it, "
                   f"{FUNCTION_LINES_MAX} is the limit")


@rule("nesting")
def check_nesting(tree):
    for source, function in tree.functions():
        if function.nesting > NESTING_MAX:
            yield (source.path, function.first,
                   f"{function.name} nests {function.nesting} deep; handle "
                   f"the odd case first and return ({NESTING_MAX} at most)")


@rule("parameters")
def check_parameters(tree):
    for source, function in tree.functions():
        head = "".join(source.lines[function.first - 1:function.first + 4])
        if function.parameters > PARAMETERS_MAX and \
                function.name not in GIVEN_SIGNATURES and \
                not GIVEN_PARAMETER.search(head):
            yield (source.path, function.first,
                   f"{function.name} has {function.parameters} parameters; "
                   f"pass a struct ({PARAMETERS_MAX} at most)")


@rule("file-length")
def check_file_length(tree):
    for source in tree.c_files():
        count = len(source.lines) - 1
        if count > FILE_LINES_MAX:
            yield (source.path, FILE_LINES_MAX + 1,
                   f"{count} lines; split it, {FILE_LINES_MAX} is the limit")


@rule("line-length")
def check_line_length(tree):
    for source in tree.c_files():
        limit = COLUMNS_MAX.get(source.extension, 80)
        for number, line in enumerate(source.lines, 1):
            if len(line) > limit:
                yield (source.path, number,
                       f"{len(line)} columns; break it at {limit}")


@rule("blanks")
def check_blanks(tree):
    for source in tree.sources.values():
        tabs = os.path.basename(source.path) == "Makefile"
        for number, line in enumerate(source.lines, 1):
            if "\t" in line and not tabs:
                yield source.path, number, "use spaces, not tabs"
            if line != line.rstrip():
                yield source.path, number, "remove the blanks at the end"
        if source.text and not source.text.endswith("\n"):
            yield source.path, len(source.lines), "end the file with a newline"
        if source.text.endswith("\n\n"):
            yield source.path, len(source.lines), "remove the last empty line"


# -- rules: headers of files --

SPDX = "SPDX-License-Identifier: MIT"


@rule("license-line")
def check_license(tree):
    for source in tree.sources.values():
        if source.is_c:
            wanted, line = f"/* {SPDX} */", 1
            if source.extension in (".cc", ".cpp") and \
                    source.lines[0] == f"// {SPDX}":
                continue
        elif source.extension in (".py", ".sh", ".cmake") or \
                os.path.basename(source.path) in ("Makefile", "run",
                                                  "CMakeLists.txt"):
            wanted = f"# {SPDX}"
            line = 2 if source.text.startswith("#!") else 1
        else:
            continue
        if source.text.strip() == "":
            continue
        if len(source.lines) < line or source.lines[line - 1] != wanted:
            yield source.path, line, f"write here: {wanted}"


@rule("file-header")
def check_file_header(tree):
    for source in tree.c_files():
        comment = source.header_comment()
        if source.extension in (".cc", ".cpp") and \
                source.lines[1:2] and source.lines[1].startswith("//"):
            continue
        if not comment:
            yield (source.path, 2,
                   "say here, in a comment, what the file is and is for")
            continue
        if source.path.split("/")[0] == "test":
            continue
        stem = os.path.basename(source.path)[:-len(source.extension)]
        begin = re.match(r"/\*\s*(?:\n \* )?([\w./]+) - \S", comment)
        if not begin or os.path.splitext(begin.group(1))[0] != stem:
            yield source.path, 3, f"begin with `{stem} - its purpose`"


@rule("tests-listed")
def check_tests_listed(tree):
    for source in tree.c_files("src", "include", "cli"):
        comment = source.header_comment()
        field = re.search(r"^ \* Tests\b(.*(?:\n \* {4,}\S.*)*)", comment,
                          re.MULTILINE)
        if not field:
            continue
        line = 2 + comment[:field.start()].count("\n")
        for path in re.findall(r"(?:test|tools|cmake)/[\w./*-]+",
                               field.group(1)):
            path = path.rstrip(".,")
            if "*" not in path and not tree.exists(path):
                yield source.path, line, f"write {path}, or name another test"


# -- rules: what code says --

@rule("banned")
def check_banned(tree):
    for source in tree.layered():
        text = source.code
        if source.extension == ".def":
            continue
        for pattern, allowed, advice in BANNED:
            own = source.path[len("src/"):]
            if source.layer in allowed or own in allowed:
                continue
            for match in pattern.finditer(text):
                found = match.group().rstrip("( ")
                yield (source.path, source.line_of(match.start()),
                       f"`{found}` is not for {source.layer}/: {advice}")


LABEL = re.compile(r"\b([A-Z]{1,2}\d{1,2})\b")
# The number of an invariant, then a gap, then what holds.
LABEL_DEFINED = re.compile(r"(?:^ \*\s+|Holds\s+)([A-Z]{1,2}\d{1,2})\s{2,}",
                           re.MULTILINE)


def labels_defined(tree, source):
    """The labels listed by a file's module and by the modules it includes."""
    waiting = [source.path, source.path[:-len(source.extension)] + ".h"]
    labels, seen = set(), set()
    while waiting:
        path = waiting.pop()
        if path in seen or path not in tree.sources:
            continue
        seen.add(path)
        header = tree.sources[path]
        labels.update(LABEL_DEFINED.findall(header.header_comment()))
        waiting += ["src/" + target for _, target, _ in header.includes()]
    return labels


@rule("invariant-label")
def check_labels(tree):
    """In a comment on, or in the line above, an assertion."""
    assertion = re.compile(r"\b(?:ASSERT|CHECK|AUDIT)\s*\(")
    for source in tree.layered():
        defined = labels_defined(tree, source)
        for match in assertion.finditer(source.body):
            line = source.line_of(match.start())
            end = closing(source.body, match.end() - 1)
            last = source.line_of(end) if end >= 0 else line
            above = source.line_text(source.body, line - 1) if line > 1 else "x"
            first = line - 1 if above.strip() == "" and line > 1 else line
            for number in range(first, last + 1):
                said = source.line_text(source.comments, number)
                for label in LABEL.findall(said):
                    if label not in defined:
                        yield (source.path, number,
                               f"no list at the head of this module or one "
                               f"it includes has {label}; add it there")


def ordered_calls(tree):
    """The names in util/atomic.h that acquire or release."""
    atomic = tree.sources.get("src/util/atomic.h")
    if atomic is None:
        return None
    names = set(re.findall(r"\b(\w+_(?:acquire|release|acq_rel)\w*)\s*\(",
                           atomic.code))
    names = {n for n in names if not n.startswith(("memory_order", "atomic"))}
    return word(*sorted(names)) if names else None


@rule("partner")
def check_partner(tree):
    pattern = ordered_calls(tree)
    if pattern is None:
        return
    known = set()
    for source in tree.c_files("src"):
        known.update(re.findall(r"\w+", source.code))
    for source in tree.layered():
        if source.path == "src/util/atomic.h":
            continue
        for match in pattern.finditer(source.code):
            line = source.line_of(match.start())
            said = " ".join(source.line_text(source.comments, number)
                            for number in range(max(1, line - 3), line + 1))
            said = re.sub(r"[\s*]+", " ", said)
            partner = re.search(r"pairs with\b(.*)", said, re.IGNORECASE)
            if not partner:
                yield (source.path, line,
                       "name the partner: /* pairs with OTHER_FUNCTION() */")
                continue
            for name in re.findall(r"(\w+)\(\)", partner.group(1)):
                if name not in known:
                    yield (source.path, line,
                           f"the partner {name}() does not exist; name another")


@rule("conditional")
def check_conditional(tree):
    for source in tree.layered():
        if source.layer == "sys":
            continue
        for directive in source.directives:
            if not re.match(r"\s*#\s*(?:if|ifdef|ifndef|else|elif)\b",
                            directive.group()):
                continue
            line = source.line_of(directive.start())
            for function in source.functions:
                if function.first < line < function.last:
                    yield (source.path, line,
                           f"no #if inside {function.name}; write `if "
                           "(CONFIG_...)` so that every build compiles it")


# -- rules: comments --

CODE_IN_COMMENT = re.compile(
    r"""^(?: [\w>.\-\[\]]+\s*\([^)]*\)\s*;              # call(...);
          | [\w*>.\-\[\]\ ]+\s[-+|&*/]?=\s[^=].*;       # name = value;
          | (?:return|goto|break|continue)\b[^.]*;      # return value;
          | (?:if|for|while|switch)\s*\(.*\)\s*\{       # if (...) {
          | \#\s*(?:if|ifdef|ifndef|endif|define|include)\b.*
        )$""", re.VERBOSE)


@rule("dead-code")
def check_dead_code(tree):
    for source in tree.c_files():
        for begin, end in source.comment_spans:
            line = source.line_of(begin)
            text = re.sub(r"\*/$", "", source.text[begin:end])
            for offset, said in enumerate(text.split("\n")):
                said = re.sub(r"^\s*(?:/\*+|//+|\*+)?\s*", "", said).rstrip()
                if CODE_IN_COMMENT.match(said):
                    yield (source.path, line + offset,
                           "delete the code in this comment; git remembers it")


@rule("todo")
def check_todo(tree):
    pattern = re.compile(r"\b(?:TO" + r"DO(?!\(\d+\))|FIX" + r"ME|XX" + r"X)\b")
    for source in tree.sources.values():
        for number, line in enumerate(source.lines, 1):
            match = pattern.search(line)
            if match:
                yield (source.path, number,
                       "do it now, or open an issue and write TO" "DO(issue)")


# -- rules: documents --

def documents(tree):
    return (s for s in tree.sources.values() if s.extension == ".md")


def resolve(tree, document, path):
    """The file that a document means by a path, or None."""
    places = [path, "src/" + path,
              os.path.join(os.path.dirname(document.path), path)]
    for place in map(os.path.normpath, places):
        if tree.exists(place):
            return place
    if "/" not in path:
        found = [p for p in tree.sources if os.path.basename(p) == path]
        if len(found) == 1:
            return found[0]
    return None


def defines(source, name):
    if source.is_c:
        return any(f.name == name for f in source.functions) or \
            re.search(r"^\s*#\s*define\s+%s\b|\b(?:struct|enum)\s+%s\b"
                      r"|\b%s\s*\(" % (name, name, name),
                      source.code, re.MULTILINE) is not None
    return re.search(r"\b%s\b" % name, source.text) is not None


@rule("reference")
def check_references(tree):
    pattern = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-]+\.(?:c|h|def|py|sh))"
                         r":([A-Za-z_]\w*)")
    for document in documents(tree):
        for number, line in enumerate(document.lines, 1):
            for path, name in pattern.findall(line):
                target = resolve(tree, document, path)
                if target is None:
                    yield (document.path, number,
                           f"there is no file {path}; name the right one")
                elif not defines(tree.sources[target], name):
                    yield (document.path, number,
                           f"{target} has no {name}; name what replaced it")


@rule("document-path")
def check_document_paths(tree):
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    quoted = re.compile(
        r"`((?:docs|src|test|tools|include|cli|cmake)/[\w./-]*)[`:]")
    for document in documents(tree):
        for number, line in enumerate(document.lines, 1):
            paths = quoted.findall(line)
            paths += [p for p in link.findall(line) if "://" not in p
                      and not p.startswith("mailto:")]
            for path in paths:
                if resolve(tree, document, path) is None:
                    yield (document.path, number,
                           f"{path} does not exist; name what does")


# -- running --

def findings_of(tree):
    for name, check in RULES.items():
        for path, line, message in check(tree):
            yield Finding(path, line, name, message)


def check_tree(root):
    tree = Tree(root)
    if not any(True for _ in tree.c_files("src")):
        print(f"tidy: there is no source below {root}/src", file=sys.stderr)
        return 2
    findings = sorted(set(findings_of(tree)))
    for finding in findings:
        print("%s:%d: %s: %s" % finding)
    print(f"tidy: {len(tree.sources)} files, {len(RULES)} rules, "
          f"{len(findings)} findings")
    return 1 if findings else 0


# -- the self-test: a clean tree, then one broken thing at a time --

CLEAN = {
    "src/util/atomic.h": """\
/* SPDX-License-Identifier: MIT */
/*
 * atomic - shared words.
 */
#include <stdatomic.h>
#define load_acquire(word) atomic_load_explicit(word, memory_order_acquire)
#define store_release(word, value) \\
    atomic_store_explicit(word, value, memory_order_release)
""",
    "src/page/page.h": """\
/* SPDX-License-Identifier: MIT */
/*
 * page - runs of slices.
 */
#include "util/atomic.h"
void *page_take(int count);
""",
    "src/page/run.h": """\
/* SPDX-License-Identifier: MIT */
/*
 * run - one run of slices.
 */
int run_count(void);
""",
    "src/page/page.c": """\
/* SPDX-License-Identifier: MIT */
/*
 * page - runs of slices; see page.h.
 */
#include "page/page.h"

#include "page/run.h"

void *page_take(int count)
{
    return count > run_count() ? (void *)0 : (void *)1;
}
""",
    "src/heap/heap.h": """\
/* SPDX-License-Identifier: MIT */
/*
 * heap - one owner's slabs.
 *
 * Holds at every call boundary:
 *   H1  count is never negative
 *
 * Tests    test/unit/heap/heap_test.c
 */
#include "page/page.h"
int heap_count(int count);
""",
    "src/heap/heap.c": """\
/* SPDX-License-Identifier: MIT */
/*
 * heap - one owner's slabs; see heap.h.
 */
#include "heap/heap.h"

#define HEAP_STEP 4

struct heap {
    int count;
};

int heap_count(int count)
{
    ASSERT(count >= 0); /* H1 */
    /* pairs with heap_close() */
    return load_acquire(&count);
}

static void heap_close(int *count)
{
    store_release(count, 0); /* pairs with heap_count() */
}
""",
    "src/sys/sys.h": """\
/* SPDX-License-Identifier: MIT */
/*
 * sys - what we ask of the system.
 */
int sys_pages(void);
""",
    "test/unit/heap/heap_test.c": """\
/* SPDX-License-Identifier: MIT */
/*
 * The heap's contract, function by function.
 */
int main(void)
{
    return 0;
}
""",
    "README.md": """\
# Tree
See `docs/TOUR.md` and [the tour](docs/TOUR.md).
""",
    "docs/TOUR.md": "It starts in `heap/heap.c:heap_count`.\n",
    "tools/run.sh": "#!/bin/sh\n# SPDX-License-Identifier: MIT\ntrue\n",
}


def function_of(lines="", parameters="void"):
    return f"\nint heap_more({parameters})\n{{\n{lines}    return 0;\n}}\n"


NESTED = "".join("    " * d + "if (a) {\n" for d in range(1, 6)) + \
    "".join("    " * d + "}\n" for d in range(5, 0, -1))

HEAP = "src/heap/heap.c"

# (rule, file, text replaced or None to append, its replacement)
SEEDED = [
    ("layer", "src/run.h", None, CLEAN["src/page/run.h"]),
    ("include-direction", "src/page/page.c", '"page/run.h"', '"heap/heap.h"'),
    ("include-direction", "src/page/page.c", '"page/run.h"', '"run.h"'),
    ("faces-only", "src/heap/heap.h", '"page/page.h"', '"page/run.h"'),
    ("own-header-first", HEAP, '#include "heap', '#include <stdint.h>\n'
     '#include "heap'),
    ("function-length", HEAP, None, function_of("    work();\n" * 70)),
    ("nesting", HEAP, None, function_of(NESTED)),
    ("parameters", HEAP, None,
     function_of(parameters="int a, int b, int c, int d, int e, int f")),
    ("parameters", HEAP, None, function_of(
        parameters="int a, int b, int c, int d, int e, int f").replace(
            "heap_more", "NAME(heap_more)")),
    ("file-length", "src/sys/sys.h", None, "int x;\n" * 600),
    ("line-length", "src/sys/sys.h", None, "int " + "x" * 80 + ";\n"),
    ("blanks", "src/sys/sys.h", None, "\tint x;\n"),
    ("blanks", "tools/run.sh", None, "true \n"),
    ("blanks", "README.md", None, "No newline"),
    ("license-line", "src/sys/sys.h", "MIT", "None"),
    ("license-line", "tools/run.sh", "# SPDX", "# spdx"),
    ("file-header", "src/sys/sys.h", "sys - what", "What"),
    ("file-header", "test/unit/heap/heap_test.c", "/*\n", "\n/*\n"),
    ("tests-listed", "src/heap/heap.h", "heap_test.c", "gone_test.c"),
    ("banned", HEAP, None, function_of("    malloc(1);\n")),
    ("banned", HEAP, None, function_of("    printf();\n")),
    ("banned", HEAP, None, function_of("    assert(1);\n")),
    ("banned", HEAP, None, function_of("    abort();\n")),
    ("banned", HEAP, None, function_of("    errno = 1;\n")),
    ("banned", HEAP, None, function_of("    mmap(0);\n")),
    ("banned", HEAP, None, function_of("    atomic_load(&a);\n")),
    ("banned", "src/util/atomic.h", "_explicit(word, memory_order_acquire",
     "_explicit(word, memory_order_seq_cst"),
    ("banned", HEAP, "#define HEAP", "#include <sys/mman.h>\n#define HEAP"),
    ("invariant-label", HEAP, "/* H1 */", "/* H2 */"),
    ("partner", HEAP, " /* pairs with heap_count() */", ""),
    ("partner", HEAP, "with heap_close()", "with heap_gone()"),
    ("conditional", HEAP, None,
     function_of("#if HEAP_STEP\n    work();\n#endif\n")),
    ("dead-code", HEAP, None, "/* heap_close(count); */\n"),
    ("dead-code", HEAP, None, "// if (count) {\n"),
    ("todo", HEAP, None, "/* TO" "DO: later. */\n"),
    ("reference", "docs/TOUR.md", "heap_count", "heap_gone"),
    ("reference", "docs/TOUR.md", "heap/heap.c:", "heap/gone.c:"),
    ("document-path", "README.md", "`docs/TOUR.md`", "`docs/GONE.md`"),
    ("document-path", "README.md", "(docs/TOUR.md)", "(docs/GONE.md)"),
]


def findings_with(changes):
    """The findings in the clean tree with some files changed."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **changes}.items():
            absolute = os.path.join(root, path)
            os.makedirs(os.path.dirname(absolute), exist_ok=True)
            with open(absolute, "w", encoding="utf-8") as file:
                file.write(text)
        return list(findings_of(Tree(root)))


def self_test():
    problems = ["the clean tree: %s:%d: %s: %s" % finding
                for finding in findings_with({})]
    for name, path, old, new in SEEDED:
        text = CLEAN.get(path, "")
        if old is not None and old not in text:
            problems.append(f"{name}: {path} does not hold {old!r}")
            continue
        text = text + new if old is None else text.replace(old, new, 1)
        found = {(f.rule, f.path) for f in findings_with({path: text})}
        if (name, path) not in found:
            problems.append(f"{name}: not found in {path}: {new!r}")
        elif len({rule_name for rule_name, _ in found}) > 1:
            problems.append(f"{name}: {path}: also found {sorted(found)}")
    for name in RULES.keys() - {seed[0] for seed in SEEDED}:
        problems.append(f"{name}: nothing breaks this rule; add it to SEEDED")
    for problem in problems:
        print(problem)
    print(f"tidy: {len(SEEDED)} seeded mistakes, {len(problems)} problems")
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(
        description="Checks the project's style.")
    parser.add_argument("--root", help="the tree to check (default: this one)",
                        default=os.path.join(os.path.dirname(__file__), ".."))
    parser.add_argument("--self-test", action="store_true",
                        help="break each rule once and look for the finding")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    return check_tree(os.path.abspath(arguments.root))


if __name__ == "__main__":
    sys.exit(main())
