#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run - the same calls on Debian's libjemalloc.so.2 and on ours, compared.

    run.py --list | --packages
    run.py --lib LIBRARY --build FOLDER [--suite NAME]
    run.py --ours A --theirs B --build FOLDER [--suite NAME] [--unlisted]

The first form of a run is ctest's: ours is the drop-in in the build folder. In
the second both are given; --unlisted leaves differences.tsv aside. Exit status
0: equal, but for what is listed; 1: not so; 77: there is no library to compare
with. pair.py says how lines are compared.
"""
import argparse
import itertools
import re
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

from pair import (  # noqa: E402
    DROP_IN, HERE, SKIPPED, THEIRS, Verdict, compile_program, lines_of,
    read_differences, read_table, run_program)
from profiling import NAMES, say_prof_names, say_profiles  # noqa: E402
from report import say_printer  # noqa: E402

PACKAGES = ["gcc", "libc6-dev", "python3", "libjemalloc2"]


# -- names: a table of names is the program's input --

def expand(name):
    """All names that one with {a,b} stands for."""
    parts = re.split(r"\{([^{}]*)\}", name)
    choices = [part.split(",") if number % 2 else [part]
               for number, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def name_lines(theirs):
    """The input of names.c. What 5.3.0 lacks is asked of its twin there, and
    only the kind of the value is compared."""
    for pattern, kind, access, since, judge, *twin in read_table(
            HERE / "names.tsv"):
        if kind == "special" or twin == ["-"]:
            continue
        for name in expand(pattern):
            asked = twin[0] if twin and theirs else name
            judged = "any" if twin else judge
            yield f"{name} {asked} {kind} {access} {judged}\n"


def say_names(program, library, is_theirs):
    text = "".join(name_lines(is_theirs))
    return lines_of(run_program(program, library, text=text))


def say_names_of_profiles(program, library, is_theirs):
    text = "".join(line for line in name_lines(is_theirs)
                   if line.startswith(NAMES))
    return say_prof_names(program, library, text)


# -- options: a text of options for each run --

def said_on_error(run):
    """The library's own messages."""
    for line in run.stderr.splitlines():
        yield f"message {line}", "said"


def say_conf(program, library, conf, *arguments):
    run = run_program(program, library, *arguments, conf=conf)
    for what, result in [*lines_of(run), *said_on_error(run)]:
        yield f"{conf} | {what}", result


def option_types():
    """The leaves below opt, with the types that they are read as."""
    return {name: kind for pattern, kind, *_ in read_table(HERE / "names.tsv")
            for name in expand(pattern) if name.startswith("opt.")}


def say_options(program, library, _):
    types = option_types()
    text = (HERE / "options.txt").read_text(encoding="utf-8")
    for conf in text.splitlines():
        if conf.startswith("#"):
            continue
        leaves = ["opt." + key for key in re.findall(r"([a-z_]+):", conf)]
        asked = [f"{leaf}:{types[leaf]}" for leaf in dict.fromkeys(leaves)
                 if leaf in types]
        yield from say_conf(program, library, conf, *asked)


EFFECTS = [
    "", "zero:true", "junk:true", "junk:alloc", "junk:free",
    "zero:true,junk:true", "tcache:false", "narenas:1", "narenas:3",
    "narenas:3,oversize_threshold:0", "dirty_decay_ms:0,muzzy_decay_ms:10",
    "dirty_decay_ms:-1", "background_thread:true,max_background_threads:3",
    "tcache_max:4096", "lg_tcache_max:10", "bin_shards:1-160:4",
    "slab_sizes:1-4096:8", "dss:disabled", "dss:primary", "zero_realloc:alloc",
    "zero_realloc:free", "zero_realloc:abort", "abort:true",
    "experimental_infallible_new:true", "xmalloc:true", "retain:false",
]


def say_effects(program, library, _):
    for conf in EFFECTS:
        yield from say_conf(program, library, conf)


def say_own_conf(program, library, _):
    """A program that has a malloc_conf, alone and before the environment's."""
    for conf in ("", "narenas:5,abort:false", "confirm_conf:false",
                 "abort_conf:true"):
        yield from say_conf(program, library, conf)


def say_with(conf):
    """A program that is about one option text."""
    def say(program, library, _):
        return lines_of(run_program(program, library, conf=conf))
    return say


def say_later(program, library, is_theirs):
    """Theirs is what is written down."""
    if is_theirs:
        return [tuple(row) for row in read_table(HERE / "later.tsv")]
    return lines_of(run_program(program, library,
                                conf="dirty_decay_ms:500,narenas:2"))


def say_samples(program, library, is_theirs):
    """As say_later(), where every object is sampled."""
    if is_theirs:
        return [tuple(row) for row in read_table(HERE / "samples.tsv")]
    return lines_of(run_program(program, library, "samples",
                                conf="prof:true,lg_prof_sample:0"))


def say_program(program, library, _):
    return lines_of(run_program(program, library))


# Each is a program of this folder, and how it is asked.
SUITES = {
    "names": say_names,
    "spelling": say_program,
    "queries": say_program,
    "sizes": say_program,
    "allocx": say_program,
    "family": say_program,
    "arenas": say_program,
    "caches": say_program,
    "threads": say_program,
    "hooks": say_program,
    "forks": say_program,
    "background": say_program,
    "options": say_options,
    "effects": say_effects,
    "conf": say_own_conf,
    "printer": say_printer,
    "later": say_later,
    "packing": say_with("narenas:1"),
    "oversize": say_with("oversize_threshold:2097152"),
    "tracing": say_program,
    "profiles": say_profiles,
    "prof_names": say_names_of_profiles,
    "samples": say_samples,
}
# Where the program has another name.
PROGRAMS = {"prof_names": "names", "samples": "profiles"}


# -- running --

def run_suite(name, options):
    program = compile_program(HERE / f"{PROGRAMS.get(name, name)}.c",
                              options.build / "test" / "contract")
    begin = time.monotonic()
    same = options.ours == options.theirs
    ours = SUITES[name](program, options.ours, same)
    theirs = SUITES[name](program, options.theirs, True)
    known = [] if options.unlisted else read_differences(name)
    status = Verdict(name, ours, theirs, known).report(options.shown)
    print(f"{name}: {time.monotonic() - begin:.1f} s")
    return status


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--suite", choices=list(SUITES))
    parser.add_argument("--lib", type=Path, help="the build's library")
    parser.add_argument("--build", type=Path, help="the build folder")
    parser.add_argument("--ours", type=Path)
    parser.add_argument("--theirs", type=Path, default=THEIRS)
    parser.add_argument("--unlisted", action="store_true")
    parser.add_argument("--shown", type=int, default=60,
                        help="at most so many differences of a suite")
    return parser, parser.parse_args()


def main():
    parser, options = parse()
    if options.list or options.packages:
        print("\n".join(SUITES if options.list else PACKAGES))
        return 0
    if not options.build or not (options.lib or options.ours):
        parser.error("--build and --lib, or --ours, are needed to run")
    options.build = options.build.resolve()
    options.ours = options.ours or options.build / DROP_IN
    if not options.theirs.exists():
        print(f"SKIPPED: there is no {options.theirs} to compare with "
              "(Debian package libjemalloc2)")
        return SKIPPED
    if not options.ours.exists():
        print(f"FAILED: there is no {options.ours}")
        return 1
    names = [options.suite] if options.suite else list(SUITES)
    return max(run_suite(name, options) for name in names)


if __name__ == "__main__":
    sys.exit(main())
