#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""report - tests of `ashlar report` and of the profiles for pprof that it reads.

    report.py --list                                   the tests' names
    report.py --suite NAME --lib PATH --build FOLDER   runs one

Most tests run a small program that allocates known bytes at known lines, with
every object sampled (lg_prof_sample:0), so that what has to be reported is
known to the byte. Profiles for pprof are also taken apart here, by Python's
gzip and a reader of protocol buffers that shares nothing with the tool's.

The tool is tested as it was built and, as `plain`, compiled without zlib and
libdw.
"""
import argparse
import gzip
import math
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

sys.dont_write_bytecode = True

from harness import (Failure, Missing, base_environment,  # noqa: E402
                     find_program, require)

SOURCE = Path(__file__).resolve().parents[2]
JEMALLOC = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")

# Sizes are those of classes, so that what is given is what was asked for.
SITES = """\
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));
static void *kept[5000];
static int count;
#define NOINLINE __attribute__((noinline, noclone))
NOINLINE void *small(void)
{
    return malloc(512);
}
static inline __attribute__((always_inline)) void *inner(size_t size)
{
    return malloc(size);
}
static inline __attribute__((always_inline)) void *outer(size_t size)
{
    return inner(size);
}
NOINLINE void *large(void)
{
    return outer(163840);
}
NOINLINE void fill(void)
{
    for (int i = 0; i < 1000; i++)
        kept[count++] = small();
    for (int i = 0; i < 10; i++)
        kept[count++] = large();
}
NOINLINE void *work(void *unused)
{
    for (int i = 0; i < 100; i++)
        kept[count++] = malloc(4096);
    return unused;
}
NOINLINE void *deep(int depth)
{
    return depth ? deep(depth - 1) : malloc(8192);
}
NOINLINE void dump(const char *path)
{
    if (mallctl && mallctl("prof.dump", 0, 0, &path, sizeof path))
        abort();
}
int main(void)
{
    pthread_t thread;
    fill();
    for (int i = 0; i < 30; i++)
        kept[count++] = deep(3);
    for (int i = 0; i < 3000; i++)
        free(small());
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    dump("a.heap");
    dump("a.pb.gz");
    return kept[0] == NULL;
}
"""

# Function, line, bytes and objects that are live; the innermost is first.
STACKS = [
    (["inner:14", "outer:18", "large:22",
      "fill:29", "main:49"], 1638400, 10),
    (["small:10", "fill:27", "main:49"], 512000, 1000),
    (["work:34"], 409600, 100),
    (["deep:39"] * 4 + ["main:51"], 245760, 30),
]
FREED = 3000 * 512

CLASSES = """\
#include <cstdlib>
#include <string>
#include <vector>
namespace shop {
struct Order { char text[4096]; };
template <class Thing> struct Store {
    std::vector<Thing *> things;
    __attribute__((noinline)) void add() { things.push_back(new Thing[2]); }
};
}
int main()
{
    shop::Store<shop::Order> store;
    store.things.reserve(100);
    for (int i = 0; i < 100; i++)
        store.add();
    return store.things.size() != 100;
}
"""


# What rustc would name store::Shelf<T>::put.
RUST = SITES.replace("void *small(void)\n{", """void *small(void)
    __asm__("_ZN5store14Shelf$LT$T$GT$3put17h0123456789abcdefE");
void *small(void)
{""")


class Bench:
    """The tool in two ways, the library, and a folder to work in."""

    def __init__(self, build, library, folder):
        self.build = build
        self.tool = build / "ashlar"
        self.library = library
        self.folder = folder
        self.environment = base_environment(folder)
        linked = subprocess.run(
            [find_program("ldd"), self.tool], check=True, text=True,
            capture_output=True, timeout=60).stdout
        self.has_lines = "libdw.so" in linked
        self.has_zlib = "libz.so" in linked

    def compile(self, name, text, *options):
        is_cxx = "#include <vector>" in text
        source = self.folder / (name + (".cpp" if is_cxx else ".c"))
        source.write_text(text)
        subprocess.run(
            [find_program("g++" if is_cxx else "gcc"), "-O2", "-g",
             "-fno-optimize-sibling-calls", "-pthread", source, "-o",
             self.folder / name, *options], check=True, timeout=60)
        return self.folder / name

    def plain(self):
        """The tool without what is optional."""
        tool = self.folder / "plain"
        if not tool.exists():
            cli = SOURCE / "cli"
            files = [cli / "ashlar.c", cli / "record.c"]
            files += [file for file in cli.glob("report*.c")
                      if file.name != "report_dwarf.c"]
            subprocess.run(
                [find_program("gcc"), "-w", "-std=gnu11", "-I", SOURCE /
                 "include", "-I", SOURCE / "src", *files, "-o", tool, "-lm"],
                check=True, timeout=60)
        return tool

    def run(self, *words, env=None):
        return subprocess.run(
            [str(word) for word in words], cwd=self.folder, check=False,
            env={**self.environment, **(env or {})}, timeout=60,
            stdin=subprocess.DEVNULL, capture_output=True)

    def profile(self, program, conf="", library=None):
        result = self.run(program, env={
            "LD_PRELOAD": str(library or self.library),
            "MALLOC_CONF": "prof:true,lg_prof_sample:0" + conf})
        require(result.returncode == 0 and not result.stderr,
                "the program failed", result)

    def profile_sites(self, conf=""):
        self.profile(self.compile("sites", SITES), conf)

    def report(self, *words, tool=None):
        """What is reported, which must succeed without a warning."""
        result = self.run(tool or self.tool, "report", *words)
        require(result.returncode == 0 and not result.stderr,
                f"report {' '.join(map(str, words))}", result)
        return result.stdout.decode()

    def readable(self):
        """The names of the same profile in each format that the tool reads."""
        return ["a.heap", "a.pb.gz"] if self.has_zlib else ["a.heap"]


def totals_of(text):
    """Bytes and objects."""
    found = re.search(r"^[\w ]+: (\d+) bytes in (\d+) objects", text, re.M)
    require(found, f"no totals in\n{text}")
    return int(found.group(1)), int(found.group(2))


def stacks_of(text):
    """(frames, bytes or objects of each) by the report with --stacks: frames
    are "function:line" or "function"."""
    stacks = []
    for block in text.split("\n\n")[1:]:
        lines = block.strip().split("\n")
        value = re.match(r"\s*([\d.]+) (?:(\w+) +)?", lines[0])
        if not value or "%" not in lines[0]:
            continue
        frames = []
        for line in lines[1:]:
            name, _, place = line.strip().partition("  ")
            number = place.rpartition(":")[2]
            frames.append(f"{name}:{number}" if number else name)
        other = int(re.search(r"%  (\d+) ", lines[0]).group(1))
        stacks.append((frames, other))
    return stacks


# -- a reader of profile.proto --

def number_at(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields_of(data):
    """{field: its values in order}: numbers and bytes."""
    fields, at = defaultdict(list), 0
    while at < len(data):
        key, at = number_at(data, at)
        value, at = number_at(data, at)
        if key & 7 == 2:
            require(at + value <= len(data), "a field longer than the file")
            value, at = data[at:at + value], at + value
        else:
            require(key & 7 == 0, f"a field of kind {key & 7}")
        fields[key >> 3].append(value)
    return fields


def packed(fields, number):
    values = []
    for data in fields[number]:
        at = 0
        while at < len(data):
            value, at = number_at(data, at)
            values.append(value)
    return values


class Profile:
    """A file for pprof, as profile.proto says."""

    def __init__(self, path):
        top = fields_of(gzip.decompress(path.read_bytes()))
        self.top = top
        self.texts = [text.decode() for text in top[6]]
        self.types = [self.texts[fields_of(kind)[1][0]] for kind in top[1]]
        self.mappings = {}
        for data in top[3]:
            mapping = fields_of(data)
            self.mappings[mapping[1][0]] = {
                "start": mapping[2][0], "end": mapping[3][0],
                "file": self.texts[(mapping[5] or [0])[0]],
                "build_id": self.texts[(mapping[6] or [0])[0]]}
        self.locations = {}
        for data in top[4]:
            location = fields_of(data)
            self.locations[location[1][0]] = (
                (location[2] or [0])[0], (location[3] or [0])[0])
        self.samples = [self.sample(fields_of(data)) for data in top[2]]

    def sample(self, fields):
        labels = {}
        for data in fields[3]:
            label = fields_of(data)
            labels[self.texts[label[1][0]]] = \
                self.texts[label[2][0]] if label[2] else label[3][0]
        values = dict(zip(self.types, packed(fields, 2), strict=True))
        return [self.locations[n] for n in packed(fields, 1)], values, labels

    def total(self, kind):
        return sum(values[kind] for _, values, _ in self.samples)


# -- what is reported --

def stacks_and_lines(bench):
    bench.profile_sites()
    for name in bench.readable():
        for by, column in (("bytes", 2), ("objects", 1)):
            found = stacks_of(
                bench.report("-s", "--by", by, name))[:len(STACKS)]
            wanted = sorted(STACKS, key=lambda s: -s[3 - column])
            for (frames, other), stack in zip(found, wanted, strict=True):
                functions = stack[0]
                if not bench.has_lines:
                    functions = [f.split(":")[0] for f in functions
                                 if not f.startswith(("inner", "outer"))]
                require(frames[:len(functions)] == functions,
                        f"{name}: {functions} wanted, {frames} came")
                require(other == stack[column],
                        f"{name}: {other} instead of {stack[column]}")


def tables(bench):
    """Each site once: what it allocated itself, and what through it."""
    bench.profile_sites()
    for name in bench.readable():
        text = bench.report("--top", "0", "--by", "objects", name)
        total = totals_of(text)[1]
        flat, cumulative = Counter(), Counter()
        for line in text.split("\n\n")[1].splitlines()[1:]:
            found = re.match(r"\s*(\d+)\s+([\d.]+)%\s+(\d+)\s+([\d.]+)%  "
                             r"(\S+)(?:  \S+:(\d+))?$", line)
            require(found, f"not a row: {line}")
            key = found[5] + (f":{found[6]}" if found[6] else "")
            require(key not in flat, f"{key} comes twice")
            flat[key], cumulative[key] = int(found[1]), int(found[3])
            for part, of in ((found[2], flat), (found[4], cumulative)):
                require(abs(float(part) - 100 * of[key] / total) < 0.06,
                        f"the share in {line}")
        require(sum(flat.values()) == total, f"{sum(flat.values())} of {total}")
        for frames, _, objects in STACKS if bench.has_lines else ():
            require(flat[frames[0]] == objects, f"{frames[0]} in {flat}")
            require(cumulative[frames[0]] == objects,
                    f"{frames[0]} in {cumulative}")
            for frame in set(frames) - {frames[0]}:
                require(flat[frame] == 0 and cumulative[frame] >= objects,
                        f"{frame}: {flat[frame]}, {cumulative[frame]}")
    sizes = bench.report("a.heap")
    require(re.search(r"^   1\.6 MiB +\d\d\.\d%", sizes, re.M), sizes)


def cut_and_sorted(bench):
    bench.profile_sites()
    rows = {}
    for words in ([], ["-c"], ["--top", "2"], ["-n", "2", "--cumulative"]):
        text = bench.report(*words, "a.heap")
        lines = text.split("\n\n")[1].split("\n")[1:]
        rows[" ".join(words)] = [line.split("%  ")[-1] for line in lines]
    require(rows["--top 2"] == rows[""][:2], "the first two", None)
    require(rows["-n 2 --cumulative"] == rows["-c"][:2], "of the cumulative")
    require("inner" in rows[""][0] or "large" in rows[""][0], rows[""][0])
    require("main" in "".join(rows["-c"][:4]), f"main is not early: {rows}")


def all_that_was_allocated(bench):
    bench.profile_sites(",prof_accum:true")
    for name in bench.readable():
        live, _ = totals_of(bench.report(name))
        ever, objects = totals_of(bench.report("--ever", name))
        require(ever >= live + FREED and objects > 4000,
                f"{name}: ever {ever}, live {live}")
        found = stacks_of(bench.report("-es", name))
        main = [other for frames, other in found
                if frames[0].startswith("small")
                and frames[1].startswith("main")]
        require(main == [3000], f"{name}: the freed ones: {found}")


def estimates(bench):
    """With a sampling rate, both formats say the same, and about the truth."""
    bench.profile(bench.compile("sites", SITES), ",lg_prof_sample:12")
    truth = sum(size for _, size, _ in STACKS)
    for name in bench.readable():
        size, objects = totals_of(bench.report(name))
        require(abs(size - truth) < truth / 5 and 800 < objects < 1400,
                f"{name}: {size} bytes in {objects} objects, not {truth}")
    # A text has whole numbers that stand for many each.
    sums = Profile(bench.folder / "a.pb.gz").total("inuse_space")
    size, _ = totals_of(bench.report("a.heap"))
    require(abs(size - sums) < truth / 100, f"{size} here, {sums} there")


# -- the file for pprof --

def is_what_pprof_reads(bench):
    bench.profile_sites(",prof_accum:true")
    profile = Profile(bench.folder / "a.pb.gz")
    require(profile.types == ["alloc_objects", "alloc_space",
                              "inuse_objects", "inuse_space"], profile.types)
    require(profile.texts[0] == "", "the first text is not empty")
    first = next(iter(profile.mappings.values()))
    require(first["file"] == str(bench.folder / "sites"), f"{first}")
    program = bench.run("readelf", "-n", bench.folder / "sites")
    require(f"Build ID: {first['build_id']}\n".encode() in program.stdout,
            f"build id {first['build_id']}", program)
    for locations, _, labels in profile.samples:
        for mapping, address in locations:
            place = profile.mappings[mapping]
            require(place["start"] <= address < place["end"], f"{place}")
        require(labels["bytes"] >= 16 and labels["arena"] == "auto_0"
                and labels["thread_uid"] >= 1, f"{labels}")
    uids = Counter(labels["thread_uid"] for *_, labels in profile.samples
                   if labels["bytes"] == 4096)
    require(len(uids) == 1, f"one thread's objects: {uids}")
    require(profile.total("alloc_space") >= profile.total("inuse_space")
            + FREED, "what was freed is not there")
    if bench.has_zlib:
        size, objects = totals_of(bench.report("a.pb.gz"))
        require((size, objects) == (profile.total("inuse_space"),
                                    profile.total("inuse_objects")),
                "the tool adds up otherwise")


def drops_what_allocates(bench):
    """The expression matches functions of ours, and no others."""
    bench.profile_sites()
    profile = Profile(bench.folder / "a.pb.gz")
    drop = re.compile("^(" + profile.texts[profile.top[7][0]] + ")$")
    for name in ("malloc", "calloc", "posix_memalign", "mallocx",
                 "operator new", "operator new[]", "api_malloc_slow"):
        require(drop.match(name), f"{name} is not dropped")
    for name in ("", "main", "xmalloc", "malloc_all", "api_serve", "mallo"):
        require(not drop.match(name), f"{name} is dropped")


# -- symbols --

def names_of_cxx(bench):
    bench.profile(bench.compile("classes", CLASSES), ",prof_final:true,"
                  "prof_prefix:p")
    path = next(bench.folder.glob("p.*.heap"))
    frames, _ = stacks_of(bench.report("-s", path))[0]
    name = "shop::Store<shop::Order>::add()"
    require(frames[0].split(":8")[0] == name, f"{frames}")
    require(frames[1].startswith("main"), f"{frames}")


def names_of_rust(bench):
    bench.profile(bench.compile("sites", RUST))
    for tool in (bench.tool, bench.plain()):
        frames, _ = stacks_of(bench.report("-s", "a.heap", tool=tool))[1]
        require(frames[0].startswith("store::Shelf<T>::put"), f"{frames}")


def reads_files_split_for_debuggers(bench):
    """By the name in the file, and by build id below a folder's .debug."""
    program = bench.compile("sites", SITES)
    split = bench.folder / ".debug" / "sites.debug"
    split.parent.mkdir()
    for command in (["objcopy", "--only-keep-debug", program, split],
                    ["strip", program],
                    ["objcopy", f"--add-gnu-debuglink={split}", program]):
        require(bench.run(*command).returncode == 0, str(command))
    bench.profile(program)
    for tool in (bench.tool, bench.plain()):
        frames, _ = stacks_of(bench.report("-s", "a.heap", tool=tool))[1]
        require([f.split(":")[0] for f in frames[:3]]
                == ["small", "fill", "main"], f"{tool}: {frames}")
    split.unlink()
    frames, _ = stacks_of(bench.report("-s", "a.heap"))[1]
    require(re.fullmatch(r"sites\+0x[0-9a-f]+", frames[0]), f"{frames}")


def without_libraries(bench):
    """Functions without lines; packed files only by gunzip."""
    bench.profile_sites()
    tool = bench.plain()
    frames, other = stacks_of(bench.report("-s", "a.heap", tool=tool))[0]
    require(frames[:3] == ["large", "fill", "main"] and other == 10,
            f"{frames}")
    result = bench.run(tool, "report", "a.pb.gz")
    require(result.returncode == 125 and b"gunzip" in result.stderr,
            "no word of gunzip", result)
    (bench.folder / "a.pb").write_bytes(
        gzip.decompress((bench.folder / "a.pb.gz").read_bytes()))
    text = bench.report("-s", "a.pb", tool=tool)
    require(stacks_of(text)[0] == (frames, other), text)


def notices_another_program(bench):
    """A file that was built anew since has other addresses."""
    if not bench.has_zlib:
        return
    bench.profile_sites()
    bench.compile("sites", SITES.replace("4096", "8192"))
    result = bench.run(bench.tool, "report", "-s", "a.pb.gz")
    require(result.returncode == 0, "not read", result)
    require(b"/sites is not the file that was profiled" in result.stderr,
            "no warning", result)
    require(b"sites+0x" in result.stdout and b"small" not in result.stdout,
            "names of another program", result)
    (bench.folder / "sites").unlink()
    for name in bench.readable():
        result = bench.run(bench.tool, "report", "-s", name)
        require(result.returncode == 0 and b"sites+0x" in result.stdout
                and b"cannot be read" in result.stderr, "gone", result)


def part_of_the_program(bench):
    """Linked in, our own functions are on the stacks, and left out."""
    program = bench.compile("sites", SITES.replace("weak", "weak, used"),
                            bench.build / "libashlar.a", "-Wl,-u,mallctl")
    result = bench.run(program, env={
        "MALLOC_CONF": "prof:true,lg_prof_sample:0"})
    require(result.returncode == 0, "the program failed", result)
    for frames, _ in stacks_of(bench.report("-s", "a.heap"))[:3]:
        require(frames[0].split(":")[0] in ("inner", "large", "small", "work"),
                f"{frames}")


# -- profiles of others --

def weighed(objects, size, rate):
    """The estimate that readers of heap_v2 make."""
    if not objects:
        return 0
    return size / (1 - math.exp(-size / objects / rate))


def reads_those_of_jemalloc(bench):
    if not JEMALLOC.exists():
        raise Missing(f"{JEMALLOC}: not installed")
    bench.profile(bench.compile("sites", SITES), ",lg_prof_sample:12",
                  JEMALLOC)
    text = (bench.folder / "a.heap").read_text()
    total = sum(weighed(int(n), int(size), 4096) for n, size in re.findall(
        r"^@.*\n  t\*: (\d+): (\d+)", text, re.M))
    report = bench.report("-s", "a.heap")
    require(abs(totals_of(report)[0] - total) < 1, f"{total} wanted\n{report}")
    seen = {frames[0].split(":")[0] for frames, _ in stacks_of(report)[:5]}
    wanted = {"inner" if bench.has_lines else "large", "small", "work"}
    require(wanted <= seen, f"{seen}: not without the allocator's own frames")


# -- what is no profile --

def refusals(bench):
    bench.profile_sites()
    text = (bench.folder / "a.heap").read_text()
    at = text.index("\n@") + 1
    cases = {
        b"": "empty", b"hello\n": "not a heap profile", b"\x1f\x8b": None,
        b"heap_v2/x\n": ":1: no number", b"heap_v2/0\n": ":1: no number",
        b"heap_v2/4096": "cut off within", b"heap_v2/4096\n": "cut off before",
        text.replace("MAPPED", "mapped").encode(): "MAPPED_LIBRARIES: expected",
        text.replace("@ 0x", "@ yx", 1).encode(): "not an address",
        text.replace("\n@", "\n@ 1\n@", 1).encode(): "has no counts",
        text.replace(" r-xp ", "\n", 1).encode(): "not a mapping",
        text[:at + 30].encode(): "cut off within a line",
        text.replace("@", "\0", 1).encode(): "a text with a zero",
        b"\x0a\x02\x08\x05": "a text is missing",
        b"\x0a\x02\x08\x00\x32\x00": "not a heap profile: it has no values",
    }
    for data, words in cases.items():
        (bench.folder / "bad").write_bytes(data)
        result = bench.run(bench.tool, "report", "bad")
        require(result.returncode == 125 and not result.stdout
                and result.stderr.startswith(b"ashlar: bad")
                and (words or "").encode() in result.stderr,
                f"{data[:40]!r}: {words}", result)


def bad_usage(bench):
    bench.profile_sites()
    for words, said in (
            (["missing"], b"missing: No such file"), (["."], b"Is a dir"),
            ([], b"one profile is wanted"), (["a", "b"], b"one profile"),
            (["-n", "x", "a.heap"], b"--top 'x'"),
            (["--by", "size", "a.heap"], b"--by 'size'"),
            (["--ever", "a.heap"], b"prof_accum:true"),
            (["--wrong"], b"Try 'ashlar --help'")):
        result = bench.run(bench.tool, "report", *words)
        require(result.returncode == 125 and said in result.stderr
                and not result.stdout, f"{words}: {said!r}", result)
    result = bench.run(bench.tool, "report", "--help")
    require(result.returncode == 0 and b"Usage: ashlar report" in
            result.stdout, "no help", result)


def survives_damage(bench):
    """Whatever is changed or cut off: a report or a refusal, never a crash."""
    bench.profile_sites(",lg_prof_sample:12")
    dice = random.Random(1)
    text = (bench.folder / "a.heap").read_bytes()
    data = gzip.decompress((bench.folder / "a.pb.gz").read_bytes())
    files = [text, data] + [(bench.folder / "a.pb.gz").read_bytes()
                            ] * bench.has_zlib
    statuses = Counter()
    for turn in range(150):
        broken = bytearray(files[turn % len(files)])
        if turn % 2:
            del broken[dice.randrange(len(broken)):]
        else:
            for _ in range(dice.randrange(1, 6)):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
        (bench.folder / "bad").write_bytes(broken)
        result = bench.run(bench.tool, "report", "-s", "bad")
        statuses[result.returncode] += 1
        require(result.returncode in (0, 125), f"turn {turn}", result)
        require(result.returncode == 0 or result.stderr, "no word", result)
    require(statuses[125] > 60, f"{statuses}: damage is hardly noticed")
    packed_file = (bench.folder / "a.pb.gz").read_bytes()
    for size in range(2, len(packed_file), 83) if bench.has_zlib else ():
        (bench.folder / "bad").write_bytes(packed_file[:size])
        result = bench.run(bench.tool, "report", "bad")
        require(result.returncode == 125, f"{size} bytes are read", result)


def large_files(bench):
    """A packed file that would fill the memory is refused before that."""
    if not bench.has_zlib:
        return
    with gzip.open(bench.folder / "zeros.pb.gz", "wb", 9) as file:
        for _ in range(1100):
            file.write(bytes(1 << 20))
    result = bench.run(bench.tool, "report", "zeros.pb.gz")
    require(result.returncode == 125 and b"too large" in result.stderr,
            "a gigabyte of zeros", result)


TESTS = [
    stacks_and_lines, tables, cut_and_sorted, all_that_was_allocated,
    estimates, is_what_pprof_reads, drops_what_allocates, names_of_cxx,
    names_of_rust, reads_files_split_for_debuggers, without_libraries,
    notices_another_program, part_of_the_program, reads_those_of_jemalloc,
    refusals, bad_usage, survives_damage, large_files,
]


def name_of(test):
    return test.__name__.replace("_", "-")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--suite", choices=[name_of(test) for test in TESTS])
    parser.add_argument("--lib", type=Path)
    parser.add_argument("--build", type=Path)
    options = parser.parse_args()
    if options.list:
        print("\n".join(name_of(test) for test in TESTS))
        return 0
    if not (options.suite and options.lib and options.build):
        parser.error("--suite, --lib and --build belong together")
    test = next(t for t in TESTS if name_of(t) == options.suite)
    with tempfile.TemporaryDirectory(prefix="ashlar-report-") as folder:
        try:
            test(Bench(options.build.resolve(), options.lib.resolve(),
                       Path(folder).resolve()))
        except (Failure, Missing, subprocess.SubprocessError) as error:
            print(f"{options.suite}: FAILED: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
