#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs whose heap is known, and what profiles of them say.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME] [--times N]
       run.py --build FOLDER --fetch

sites.* say which function holds how much, in C, C++, Rust and Python. Every
reader of profiles has to say the same, within what a sample can tell; so does
a tool that sees every allocation. hostile.c and crowd.c do what a profiler has
to survive. --fetch brings Go's pprof into the build folder; without it, that
reader is left out.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

import hostile  # noqa: E402
import readers  # noqa: E402
from jeprof import SKIPPED, Failure, expect, read_heap, read_pprof  # noqa: E402
from truth import Judge, truth_of  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Without rustc, heaptrack or Go's pprof, what needs them is left out.
PACKAGES = ["python3", "perl", "binutils", "gcc", "g++", "valgrind",
            "libc6-dev"]
GO_PACKAGE = "golang-1.19-go"
TIMEOUT_S = 50


class Skipped(Exception):
    """What there is nothing to run with."""


# -- the programs --

COMPILERS = {
    "c": ["gcc", "-O2", "-g", "-pthread"],
    "cpp": ["g++", "-std=c++17", "-O2", "-g"],
    # Not lld: Go's pprof mistakes where the functions of its programs are.
    "rs": ["rustc", "-O", "-g", "-C", "link-arg=-fuse-ld=bfd"],
}
WITH_FRAMES = {"rs": ["-C", "force-frame-pointers=yes"]}
WITHOUT_FRAMES = {"rs": []}


class Bench:
    def __init__(self, library, build, folder):
        self.library = Path(library).resolve()
        self.build = Path(build).resolve()
        self.folder = Path(folder)

    def program(self, kind, frames=True):
        """The command that runs sites.KIND."""
        source = HERE / f"sites.{kind}"
        if kind == "py":
            return [sys.executable, source]
        compiler = COMPILERS[kind]
        if not shutil.which(compiler[0]):
            raise Skipped(f"there is no {compiler[0]}")
        target = self.folder / "sites"
        flags = (WITH_FRAMES.get(kind, ["-fno-omit-frame-pointer"]) if frames
                 else WITHOUT_FRAMES.get(kind, ["-fomit-frame-pointer"]))
        readers.output_of(*compiler, *flags, source, "-o", target)
        return [target]

    def linked(self, name, frames=True, target=None, *flags):
        """A C program that calls the library by its header."""
        target = self.folder / (target or name)
        readers.output_of(
            *COMPILERS["c"], "-fno-builtin", "-fno-omit-frame-pointer"
            if frames else "-fomit-frame-pointer", *flags, "-I",
            ROOT / "include", HERE / f"{name}.c", "-o", target, self.library)
        return [target]

    def run(self, command, conf, *arguments, says=""):
        """What the program said, run on the library."""
        done = subprocess.run(
            [*map(str, command), *map(str, arguments)], cwd=self.folder,
            env=dict(os.environ, LD_PRELOAD=str(self.library),
                     PYTHONMALLOC="malloc", MALLOC_CONF=f"prof:true,{conf}"),
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        expect(done.returncode == 0 and done.stderr == says,
               f"{conf}: ended with {done.returncode}: {done.stderr[-500:]}")
        return done.stdout


def expect_no_own_code(path, library):
    """The library's functions are not where a stack begins."""
    text = path.read_text()
    own = [range(int(low, 16), int(high, 16)) for low, high in re.findall(
        rf"^(\w+)-(\w+) r-x.* {re.escape(str(library))}$", text,
        re.MULTILINE)]
    expect(own, f"{path}: {library} is not among the mappings")
    first = [int(pc, 16) for pc in re.findall(r"^@ (\w+)", text,
                                              re.MULTILINE)]
    expect(first and not any(pc in code for pc in first for code in own),
           f"{path}: stacks begin in the library")


# -- one program, all readers --

def expect_same(one, other, sites, slack):
    """Two readers of one heap say the same, but for rounding."""
    where = f"{one.tool} and {other.tool}"
    expect(abs(one.total - other.total) <= slack + 1e-6 * one.total,
           f"{where}: totals {one.total} and {other.total}")
    for name in sites:
        (first, error), (second, its_error) = one.of(name), other.of(name)
        expect(abs(first - second) <= slack + error + its_error,
               f"{where}: {name} has {first:.0f} and {second:.0f}")


def read_all(bench, program, text, packed):
    """Readings of the two files, the first of `ashlar report`."""
    readings = [readers.report(bench.build, text)._replace(tool="report heap"),
                readers.report(bench.build, packed)]
    # jeprof wants the executable itself.
    executable = Path(shutil.which(str(program[0])) or program[0]).resolve()
    readings.append(readers.jeprof(bench.build, executable, text))
    pprof = readers.pprof_of(bench.build)
    if pprof:
        readings.append(readers.pprof(pprof, packed))
    return readings


def sampled(kind, frames=True, bits=12):
    def suite(bench):
        text, packed = bench.folder / "a.heap", bench.folder / "a.pb.gz"
        program = bench.program(kind, frames)
        sites = truth_of(bench.run(program, f"lg_prof_sample:{bits}", text,
                                   packed))
        judge = Judge(1 << bits)
        readings = read_all(bench, program, text, packed)
        for reading in readings:
            known = sites if kind == "c" or reading.tool != "pprof" else {}
            judge.reading(reading, known)
            # A sample of the second dump's path may be in one file alone.
            expect_same(readings[0], reading, known, 3 << bits)
        _, live, _, _ = read_heap(text)
        judge.total(readings[0], sites)
        expect_no_own_code(text, bench.library)
        expect(abs(readings[0].total - live) <= 1 + 1e-6 * live
               and read_pprof(packed)["inuse_space"] == readings[1].total,
               "report's total is not the file's")
        tools = ", ".join(reading.tool for reading in readings)
        return f"{len(sites)} sites by {tools}: {judge.said()}"
    return suite


def beside(tool, kind, frames=False, bits=12):
    """The same program under a tool that sees every allocation."""
    def suite(bench):
        name = "valgrind" if tool is readers.massif else tool.__name__
        if not shutil.which(name):
            raise Skipped(f"there is no {name}")
        text = bench.folder / "a.heap"
        program = bench.program(kind, frames)
        ours = truth_of(bench.run(program, f"lg_prof_sample:{bits}", text))
        said, seen = tool(program, bench.folder)
        theirs = truth_of(said)
        reading = readers.report(bench.build, text)
        judge = Judge(1 << bits)
        for name, site in ours.items():
            asked, _ = seen.of(name)
            expect(asked == theirs[name].asked,
                   f"{seen.tool}: {name} has {asked}, the program says "
                   f"{theirs[name].asked}")
            # What our allocator rounds up is known of each site.
            value, error = reading.of(name)
            judge.near(value * site.asked / site.usable, asked,
                       site.variance(1 << bits), error,
                       f"{name}, as {seen.tool} has it")

        def order(values):
            return sorted(ours, key=values.of, reverse=True)[:3]
        expect(set(order(reading)) == set(order(seen)),
               f"on top: {order(reading)}, {seen.tool}: {order(seen)}")
        return f"{len(ours)} sites as {seen.tool} has them: {judge.said()}"
    return suite


# -- the same under other settings --

SETTINGS = ["hardening:1", "junk:true", "zero:true", "tcache:false",
            "percpu_arena:percpu", "background_thread:true",
            "prof_unbias:false,lg_prof_sample:0",
            "prof_accum:true,prof_stats:true,prof_sys_thread_name:true,"
            "prof_recent_alloc_max:100,lg_prof_interval:26,prof_prefix:x,"
            "prof_gdump:true",
            "hardening:1,junk:true,tcache:false,dirty_decay_ms:0"]


def settings(bench):
    program = bench.program("c")
    judge = Judge(4096)
    text = bench.folder / "a.heap"
    for setting in SETTINGS:
        sites = truth_of(bench.run(
            program, f"lg_prof_sample:12,{setting}", text))
        judge.rate = 1 if "lg_prof_sample:0" in setting else 4096
        reading = readers.report(bench.build, text)._replace(tool=setting)
        judge.reading(reading, sites)
        judge.total(reading, sites)
    return f"{len(SETTINGS)} settings: {judge.said()}"


def rates(bench):
    """Every object, and few: also beyond the largest object."""
    program = bench.program("c", frames=False)
    text = bench.folder / "a.heap"
    worst = []
    for bits in (0, 10, 14, 17, 19):
        sites = truth_of(bench.run(program, f"lg_prof_sample:{bits}", text))
        judge = Judge(1 << bits)
        reading = readers.report(bench.build, text)
        # Of a site with few samples the normal law says too little.
        judge.reading(reading, {name: site for name, site in sites.items()
                                if site.usable >> bits >= 200})
        judge.total(reading, sites)
        worst.append(f"2^{bits} {judge.worst:.1f}")
    return "sigma off: " + ", ".join(worst)


SUITES = {
    "c": sampled("c"),
    "c-frameless": sampled("c", frames=False),
    "cpp": sampled("cpp"),
    "cpp-frameless": sampled("cpp", frames=False),
    "rust": sampled("rs"),
    "rust-frameless": sampled("rs", frames=False),
    "python3": sampled("py"),
    "massif": beside(readers.massif, "c"),
    "massif-cpp": beside(readers.massif, "cpp"),
    "heaptrack-rust": beside(readers.heaptrack, "rs"),
    "settings": settings,
    "rates": rates,
    **hostile.SUITES,
}


def fetch(build):
    """Go's pprof, which is no program of its own in Debian."""
    with tempfile.TemporaryDirectory(dir=build) as folder:
        readers.output_of("apt-get", "download", GO_PACKAGE, cwd=folder)
        [package] = Path(folder).glob("*.deb")
        readers.output_of("dpkg", "-x", package, build / "pprof")
    return 0


def run_suite(name, library, build):
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ashlar-profile-") as folder:
        try:
            done = SUITES[name](Bench(library, build, folder))
        except Skipped as skipped:
            print(f"{name}: SKIPPED: {skipped}")
            return SKIPPED
        except Failure as failure:
            print(f"{name}: FAILED: {failure}")
            return 1
    print(f"{name}: {done}, {time.monotonic() - begin:.1f} s", flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--lib", type=Path)
    parser.add_argument("--build", type=Path)
    parser.add_argument("--suite", choices=list(SUITES))
    parser.add_argument("--times", type=int, default=1)
    options = parser.parse_args()
    if options.list or options.packages:
        print("\n".join(SUITES if options.list else PACKAGES))
        return 0
    if options.fetch and options.build:
        return fetch(options.build.resolve())
    if not (options.lib and options.build):
        parser.error("--lib and --build belong together")
    names = [options.suite] if options.suite else list(SUITES)
    results = [run_suite(name, options.lib, options.build)
               for name in names * options.times]
    # One that was skipped among others is no failure.
    return 1 if 1 in results else max(results) if options.suite else 0


if __name__ == "__main__":
    sys.exit(main())
