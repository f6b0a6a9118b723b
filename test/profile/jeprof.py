#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of profiles as other tools read them, from outside.

Usage: jeprof.py --list | --packages
       jeprof.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

orchard.c says what it holds; the library under test is preloaded and samples
it; jeprof (of the PATH, or else of Debian's libjemalloc-dev, which is then
fetched into the build folder) reads the profiles.
"""
import argparse
import gzip
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ["python3", "perl", "binutils", "gcc"]
SKIPPED = 77
HERE = Path(__file__).resolve().parent

# A sum of samples lies so many standard deviations from the truth at most:
# beyond it, once in two million runs.
DEVIATIONS = 5


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


# -- what is tested, and what reads it --

class Bench:
    """The library, the program, and a folder for one test."""

    def __init__(self, library, build, folder):
        self.library = Path(library).resolve()
        self.build = Path(build).resolve()
        self.folder = Path(folder)
        self.program = self.folder / "orchard"
        subprocess.run(
            ["cc", "-g", "-O1", "-fno-omit-frame-pointer",
             "-fno-optimize-sibling-calls", "-fno-builtin", "-D_GNU_SOURCE",
             HERE / "orchard.c", "-o", self.program, "-pthread", "-ldl"],
            check=True)

    def run(self, conf, *arguments, status=0, limits=None):
        """The program's output, by kinds of fruit and as text, and stderr."""
        done = subprocess.run(
            [self.program, *map(str, arguments)], cwd=self.folder,
            env=dict(os.environ, LD_PRELOAD=str(self.library),
                     MALLOC_CONF=f"prof:true,{conf}"),
            preexec_fn=limits, capture_output=True, text=True, timeout=50)
        expect(done.returncode == status,
               f"{conf}: ended with {done.returncode}: {done.stderr[-500:]}")
        return truth_of(done.stdout), done.stdout, done.stderr

    def jeprof(self, path, *options):
        """jeprof's total, and each function's bytes with those it called."""
        done = subprocess.run(
            ["perl", jeprof_of(self.build), "--text", "--show_bytes",
             *options, self.program, path],
            capture_output=True, text=True, timeout=50)
        expect(done.returncode == 0, f"jeprof {path}: {done.stderr[-500:]}")
        total = re.search(r"^Total(?: \(t\d+\))?: (\d+) B$", done.stdout,
                          re.MULTILINE)
        expect(total, f"jeprof {path}: no total in {done.stdout[:500]!r}")
        functions = {}
        for line in done.stdout.splitlines():
            fields = line.split()
            if len(fields) > 5 and fields[1].endswith("%"):
                functions[fields[5]] = int(fields[3])
        return int(total.group(1)), functions


def jeprof_of(build):
    """The path of jeprof; if it cannot be had, the test is skipped."""
    found = shutil.which("jeprof")
    fetched = build / "jeprof" / "usr" / "bin" / "jeprof"
    if found or fetched.exists():
        return found or fetched
    with tempfile.TemporaryDirectory(dir=build) as folder:
        def works(*command):
            return subprocess.run(command, cwd=folder, capture_output=True,
                                  check=False).returncode == 0
        if not works("apt-get", "download", "libjemalloc-dev") or not works(
                "dpkg", "-x", *map(str, Path(folder).glob("*.deb")), "tree"):
            print("jeprof is not installed, and libjemalloc-dev cannot be"
                  " fetched")
            sys.exit(SKIPPED)
        try:
            os.replace(Path(folder, "tree"), build / "jeprof")
        except OSError:
            expect(fetched.exists(), f"{fetched} cannot be made")
    return fetched


def truth_of(output):
    """{kind: (objects, bytes)} of what the program says it holds."""
    truth = {}
    for kind, objects, held in re.findall(r"^(\w+) (\d+) (\d+)$", output,
                                          re.MULTILINE):
        had = truth.get(kind, (0, 0))
        truth[kind] = (had[0] + int(objects), had[1] + int(held))
    return truth


def held_by(truth):
    return sum(held for _, held in truth.values())


# -- reading the files --

PAIR = re.compile(r"^  t(\*|\d+): (\d+): (\d+) \[(\d+): (\d+)\](?: (.*))?$")


def scaled(objects, size, rate):
    """jeprof's formula."""
    if objects == 0:
        return 0.0
    return size / -math.expm1(-size / objects / rate)


def read_heap(path):
    """(rate, bytes live, bytes ever, names) of a heap_v2 text, which has to be
    whole and in form."""
    lines = path.read_text().split("\n")
    head = re.fullmatch(r"heap_v2/(\d+)", lines[0])
    expect(head, f"{path}: begins with {lines[0]!r}")
    end = lines.index("MAPPED_LIBRARIES:")
    expect(lines[end - 1] == "" and lines[-1] == "", f"{path}: not whole")
    expect(any(line.endswith("[stack]") for line in lines[end:]),
           f"{path}: the mappings are not whole")
    rate = int(head.group(1))
    live = ever = 0
    names = set()
    in_head = True
    for line in lines[1:end - 1]:
        if re.fullmatch(r"@( 0x[0-9a-f]+)*", line):
            in_head = False
            continue
        found = PAIR.fullmatch(line)
        expect(found, f"{path}: line {line!r}")
        if in_head:
            names.add(found.group(6))
        expect(in_head or found.group(6) is None, f"{path}: a name: {line!r}")
        if not in_head and found.group(1) == "*":
            live += scaled(int(found.group(2)), int(found.group(3)), rate)
            ever += scaled(int(found.group(4)), int(found.group(5)), rate)
    return rate, live, ever, names


def fields_of(message):
    """(number, value) of each field of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            shift += 7
            at += 1
            if message[at - 1] < 128:
                return value

    while at < len(message):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        yield key >> 3, value


def numbers_of(packed):
    return [value for _, value in
            fields_of(b"".join(b"\x08" + one for one in
                               re.findall(rb"[\x80-\xff]*[\x00-\x7f]",
                                          packed, re.DOTALL)))]


def read_pprof(path):
    """{type: sum} of a profile for pprof."""
    profile = list(fields_of(gzip.decompress(path.read_bytes())))
    strings = [value.decode() for number, value in profile if number == 6]
    types = [strings[dict(fields_of(value))[1]]
             for number, value in profile if number == 1]
    sums = dict.fromkeys(types, 0)
    for number, value in profile:
        if number == 2:
            values = numbers_of(dict(fields_of(value))[2])
            for name, one in zip(types, values, strict=True):
                sums[name] += one
    return sums


# -- the tests --

def expect_near(value, wanted, allowed, what):
    expect(abs(value - wanted) <= allowed,
           f"{what}: {value:.0f} is not {wanted:.0f} +- {allowed:.0f}")


def totals(bench):
    """jeprof, its formula and pprof's format agree, near the truth."""
    for bits in (0, 12, 16):
        text = bench.folder / "totals.heap"
        packed = bench.folder / "totals.pb.gz"
        truth, _, _ = bench.run(f"lg_prof_sample:{bits}", "dump", text, packed)
        rate, live, _, _ = read_heap(text)
        expect(rate == 1 << bits, f"the rate is {rate}")
        total, _ = bench.jeprof(text)
        expect_near(total, live, 1 + 1e-6 * live, "jeprof's total")
        # What the second dump itself is sampled with, and whole numbers.
        expect_near(read_pprof(packed)["inuse_space"], live,
                    rate + 1e-4 * live, "pprof's total")
        # libc's and the loader's own allocations are not said.
        deviation = math.sqrt(held_by(truth) * rate) if bits > 0 else 0
        expect_near(total, held_by(truth), DEVIATIONS * deviation + 200_000,
                    f"the total at 2^{bits}")


def sites(bench):
    """Each function has what it holds; exactly so if all is sampled."""
    path = bench.folder / "sites.heap"
    for bits in (0, 15):
        truth, _, _ = bench.run(f"lg_prof_sample:{bits}", "dump", path)
        _, functions = bench.jeprof(path)
        for kind, (_, held) in truth.items():
            deviation = math.sqrt(held << bits) if bits > 0 else 0
            # jeprof rounds each stack's sum.
            expect_near(functions.get(kind, 0), held,
                        DEVIATIONS * deviation + 10, kind)


def threads(bench):
    """Threads are told apart, and have names."""
    path = bench.folder / "threads.heap"
    truth, _, _ = bench.run("lg_prof_sample:0", "dump", path)
    _, _, _, names = read_heap(path)
    expect("picker" in names, f"names: {names}")
    pickers = re.findall(r"^  t(\d+): .* picker$", path.read_text(),
                         re.MULTILINE)
    expect(len(pickers) == 2, f"{len(pickers)} pickers")
    _, functions = bench.jeprof(path, f"--thread={pickers[0]}")
    expect_near(functions["cherries"], truth["cherries"][1] / 2, 10,
                "one picker's cherries")
    expect("apples" not in functions, "a picker has apples")


def freed(bench):
    """With prof_accum, what was given back is there too."""
    path = bench.folder / "freed.heap"
    packed = bench.folder / "freed.pb.gz"
    bench.run("lg_prof_sample:0,prof_accum:true", "dump", path, packed)
    _, live, ever, _ = read_heap(path)
    total, functions = bench.jeprof(path, "--alloc_space")
    expect_near(total, ever, 1000, "jeprof's total")
    expect(functions["berries"] >= 10_000 * 3000, "there are few berries")
    expect(ever >= live + functions["berries"], "nothing was given back")
    expect_near(read_pprof(packed)["alloc_space"], ever, 1e-4 * ever,
                "pprof's total")


def leaks(bench):
    """The final profile, and its summary; nothing that was printed is lost."""
    conf = "lg_prof_sample:12,prof_final:true,prof_leak:true,prof_prefix:end"
    _, _, said = bench.run(conf, "nothing")
    summary = re.fullmatch(
        r"<jemalloc>: Leak approximation summary: ~(\d+) bytes, ~(\d+) objects"
        r", >= (\d+) contexts\n<jemalloc>: Run jeprof on dump output for leak"
        r" detail\n", said)
    expect(summary, f"the summary is {said!r}")
    [path] = bench.folder.glob("end.*.0.f.heap")
    total, functions = bench.jeprof(path)
    expect_near(total, int(summary.group(1)), 4096 + 1e-3 * total,
                "jeprof's total")
    expect(functions["apples"] > 0, "there are no apples")
    truth, _, said = bench.run(conf + ",prof_leak_error:true", "nothing",
                               status=1)
    expect(truth["cherries"][0] == 2000, "what was printed is lost")
    expect(said.count("\n") == 3, f"said {said!r}")


def intervals(bench):
    """A profile after every so many bytes."""
    bench.run("lg_prof_sample:16,lg_prof_interval:24,prof_prefix:at",
              "nothing")
    paths = list(bench.folder.glob("at.*.i*.heap"))
    for path in paths:
        read_heap(path)
    # 155 MiB or so are allocated, with what is given back.
    expect(7 <= len(paths) <= 12, f"{len(paths)} profiles")


def storm(bench):
    """200 threads write profiles at once; each is whole."""
    folder = bench.folder / "storm"
    folder.mkdir()
    bench.run("lg_prof_sample:14", "storm", folder)
    paths = list(folder.iterdir())
    expect(len(paths) == 100, f"{len(paths)} files")
    for path in paths:
        if path.name.endswith(".pb.gz"):
            expect(read_pprof(path)["inuse_space"] > 10**8, f"{path} is short")
        else:
            expect(read_heap(path)[1] > 10**8, f"{path} is short")


def family(bench):
    """Children that were forked during a dump write profiles of their own."""
    path = bench.folder / "family.heap"
    bench.run("lg_prof_sample:14", "family", path)
    parent = read_heap(path)[1]
    child = read_heap(Path(f"{path}.child"))[1]
    expect_near(child - parent, 20000 * 112, 10**6, "the child's apples")


def failures(bench):
    """A full device, no such folder, too large a file: said, nothing lost."""
    good = bench.folder / "good.heap"

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    _, output, said = bench.run("lg_prof_sample:14", "dump", "/dev/full",
                                "/no/such/folder/x", good)
    expect(output.endswith(f"dump /dev/full: 14\ndump /no/such/folder/x: 14\n"
                           f"dump {good}: 0\n"), output[-300:])
    expect("/dev/full: No space left on device\n" in said, said)
    expect("/no/such/folder/x: No such file or directory\n" in said, said)
    read_heap(good)
    _, output, said = bench.run("lg_prof_sample:14", "dump", good,
                                limits=small_files)
    expect(output.endswith(f"dump {good}: 14\n"), output[-300:])
    expect("File too large\n" in said, said)


def starvation(bench):
    """Without memory a profile fails aloud, or is whole; later it works."""
    path = bench.folder / "starved.heap"
    _, output, said = bench.run("lg_prof_sample:12", "starve", path)
    codes = [int(code) for code in re.findall(r"^dump .*: (\d+)$", output,
                                              re.MULTILINE)]
    expect(len(codes) == 2 and codes[1] == 0, f"the dumps ended with {codes}")
    expect(codes[0] == 0 or "Cannot allocate memory\n" in said,
           f"said {said!r}")
    read_heap(path)


def log(bench):
    """The log is JSON, and its lists fit together."""
    path = bench.folder / "log.json"
    bench.run("lg_prof_sample:12", "log", path)
    tree = json.loads(path.read_text())
    expect(list(tree) == ["info", "threads", "stack_traces", "allocations"],
           f"the parts are {list(tree)}")
    expect(tree["info"]["lg_sample_rate"] == 12, "the rate")
    notes = tree["allocations"]
    expect(len(notes) > 10_000, f"only {len(notes)} notes")
    for note in notes:
        for part in ("alloc", "free"):
            expect(note[f"{part}_thread"] < len(tree["threads"])
                   and note[f"{part}_trace"] < len(tree["stack_traces"]),
                   f"a note points nowhere: {note}")
        expect(note["usize"] >= 3000 and note["alloc_timestamp"]
               <= note["free_timestamp"], f"a note says {note}")
    for stack in tree["stack_traces"]:
        expect(all(re.fullmatch("0x[0-9a-f]+", pc) for pc in stack), stack)


def recent(bench):
    """What was taken last is JSON, and lives or not."""
    _, output, _ = bench.run("lg_prof_sample:12,prof_recent_alloc_max:1500",
                             "recent")
    tree = json.loads(output[output.index("{"):])
    notes = tree["recent_alloc"]
    expect(len(notes) == 1500 == tree["recent_alloc_max"],
           f"{len(notes)} notes")
    expect(tree["sample_interval"] == 4096, "the rate")
    cherries = [note for note in notes if note["size"] == 8000]
    expect(cherries and not any(note["released"] for note in cherries)
           and all(note["alloc_thread_name"] == "picker"
                   and note["alloc_trace"] for note in cherries),
           "the cherries")
    berries = [note for note in notes if note["size"] == 3000]
    expect(not berries or all(note["released"] and note["dalloc_time"]
                              >= note["alloc_time"] for note in berries),
           "the berries")


SUITES = {
    "totals": totals,
    "sites": sites,
    "threads": threads,
    "freed": freed,
    "leaks": leaks,
    "intervals": intervals,
    "storm": storm,
    "family": family,
    "failures": failures,
    "starvation": starvation,
    "log": log,
    "recent": recent,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--lib")
    parser.add_argument("--build")
    parser.add_argument("--suite", choices=SUITES)
    options = parser.parse_args()
    if options.list or options.packages:
        print("\n".join(SUITES if options.list else PACKAGES))
        return 0
    for name in [options.suite] if options.suite else SUITES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                SUITES[name](Bench(options.lib, options.build, folder))
            except Failure as failure:
                print(f"{name}: {failure}")
                return 1
        print(f"{name}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
