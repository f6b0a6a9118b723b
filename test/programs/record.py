#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""record - tests of `ashlar record` and of the traces that it writes.

    record.py --list                                   the tests' names
    record.py --suite NAME --lib PATH --build FOLDER   runs one

Most tests record a small C program with known calls, and read the trace by
bench/trace/replay.c, which is compiled here: a build folder need not have it.
"""
import argparse
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True

from harness import (Failure, Missing, base_environment,  # noqa: E402
                     find_program, require)

TRACE = Path(__file__).resolve().parents[2] / "bench/trace"
HEAD_BYTES = 48
LENGTH_AT = 16          # of the events, in the head

# Between two calls of mark() lies what a test is about.
PRELUDE = """
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void mark(void) { free(malloc(77777)); }
"""

CALLS = """
int main(void)
{
    mark();
    char *a = malloc(0), *b = malloc(15), *c = calloc(3, 100);
    char *d = aligned_alloc(64, 128), *e = memalign(256, 1000), *f = NULL;
    if (posix_memalign((void **)&f, 4096, 100000) != 0)
        return 1;
    free(b);
    a = realloc(a, 5000);
    c = reallocarray(c, 1000, 1000);
    free(NULL);
    char *g = realloc(NULL, 16), *h = strdup("sixteen letters!");
    if (malloc(~(size_t)0 / 2) || realloc(h, ~(size_t)0 / 2)
        || reallocarray(h, ~(size_t)0, 2) || calloc(~(size_t)0, 2))
        return 1;
    free(h);
    h = valloc(10);
    free(a), free(c), free(d), free(e), free(f);
    g = realloc(g, 1ul << 33);
    if (malloc_usable_size(h) < 10 || (g = realloc(g, 0)))
        return 1;
    free(h);
    mark();
    return 3;
}
"""

CALLS_RECORDED = """
malloc a 0, malloc b 15, calloc c 300, aligned d 64 128, aligned e 256 1000,
aligned f 4096 100000, free b, realloc a 5000, realloc c 1000000, malloc g 16,
malloc h 17, free h, aligned i 4096 10, free a, free c, free d, free e, free f,
realloc g 8589934592, free g, free i
"""

# The threads are 1 and 2. Each frees what the one before it has allocated.
THREADS = """
enum { COUNT = 1000 };
static char *blocks[COUNT];
static void *turn(void *number)
{
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
        blocks[i] = malloc(1000 * (size_t)number + i);
    }
    return NULL;
}
int main(void)
{
    pthread_t thread;
    mark();
    turn((void *)9);
    for (size_t i = 1; i <= 2; i++) {
        pthread_create(&thread, NULL, turn, (void *)i);
        pthread_join(thread, NULL);
    }
    turn((void *)10);
    mark();
}
"""

# Objects go from hand to hand through one place, without any order.
CROWD = """
static void *_Atomic place;
static pthread_barrier_t all;
static void *turn(void *unused)
{
    pthread_barrier_wait(&all);
    for (int i = 0; i < COUNT; i++) {
        free(__atomic_exchange_n((void **)&place, malloc(i % 500), 4));
        /* Nobody is done before the others have begun, on one processor. */
        if (i % 20 == 0)
            nanosleep(&(struct timespec){ 0, 1 }, NULL);
    }
    return unused;
}
int main(void)
{
    pthread_t threads[4];
    pthread_barrier_init(&all, NULL, 4);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, turn, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
"""

# Its argument says how it ends.
ENDINGS = """
int main(int count, char **words)
{
    const char *how = count > 1 ? words[1] : "";
    mark();
    void *volatile kept = malloc(123);
    if (strcmp(how, "fork") == 0 && fork() == 0) {
        free(malloc(4444));
        execl(words[0], words[0], "child", NULL);
    }
    if (strcmp(how, "vfork") == 0 && vfork() == 0)
        execl(words[0], words[0], "child", NULL);
    wait(NULL);
    if (strcmp(how, "exec") == 0)
        execl(words[0], words[0], "executed", NULL);
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(how, "abort") == 0)
        abort();
    free(kept);
    mark();
    if (strcmp(how, "_exit") == 0)
        _exit(7);
    return strlen(how);
}
"""

# Calls before any constructor, libc's own included, and in a destructor.
EARLY = """
static void *first;
static void begin(void) { first = malloc(31); }
__attribute__((section(".preinit_array"), used))
static void (*const before_all)(void) = begin;
__attribute__((constructor)) static void next(void) { first = realloc(first, 32); }
__attribute__((destructor)) static void last(void) { free(first); }
int main(void) { return 0; }
"""

# Every block is at the same place.
BROKEN = """
#include <stddef.h>
static _Alignas(4096) char block[1 << 20];
void *malloc(size_t size) { return size ? block : block; }
void free(void *ptr) { (void)ptr; }
"""


class Bench:
    """The tool, the replayer, and a folder to work in."""

    def __init__(self, build, library, folder):
        self.tool = build / "ashlar"
        self.library = library
        self.folder = folder
        self.environment = base_environment(folder)

    def compile(self, name, text, *options):
        source = self.folder / f"{name}.c"
        source.write_text(text)
        return self.build(name, source, *options)

    def build(self, name, source, *options):
        subprocess.run([find_program("gcc"), "-O2", "-fno-builtin", "-w",
                        *options, "-o", self.folder / name, source,
                        "-pthread"], check=True, timeout=60)
        return self.folder / name

    def run(self, *words, **options):
        return subprocess.run(
            [str(word) for word in words], cwd=self.folder, check=False,
            env={**self.environment, **options.pop("env", {})}, timeout=60,
            stdin=subprocess.DEVNULL, capture_output=True, **options)

    def record(self, *words, **options):
        return self.run(self.tool, "record", "-o", "trace", *words, **options)

    def replayer(self):
        path = self.folder / "replay"
        if not path.exists():
            self.build("replay", TRACE / "replay.c")
        return path

    def replay(self, *words, name="trace", preload=""):
        return self.run(self.replayer(), f"trace={name}", *words,
                        env={"LD_PRELOAD": str(preload)})

    def lines(self, name="trace"):
        """What was recorded: lists of words, the first is the thread's."""
        result = self.replay("print=1", name=name)
        require(result.returncode == 0, f"{name} is not readable", result)
        return [line.split() for line in result.stdout.decode().splitlines()]

    def events(self, name="trace"):
        return [line for line in self.lines(name) if line[0].isdigit()]

    def marked(self, name="trace"):
        """The events between the marks; the second is a program's end."""
        events = self.events(name)
        marks = [at for at, event in enumerate(events)
                 if event[1] == "malloc" and event[3] == "77777"]
        require(len(marks) == 2, f"{len(marks)} marks in {name}, not 2")
        require(len(events) == marks[1] + 2, f"more in {name}: {events[-9:]}")
        return events[marks[0] + 2:marks[1]]


def named(events):
    """The same events, objects named by letters in order of birth."""
    letters = {}
    return [" ".join([kind, letters.setdefault(
        number, chr(ord("a") + len(letters))), *sizes])
        for _, kind, number, *sizes in events]


def build_crowd(bench, count=3000):
    return bench.compile("crowd", PRELUDE + CROWD, f"-DCOUNT={count}")


def calls_of(events):
    return [event for event in events if event[1] != "end"]


# -- what is recorded --

def every_call(bench):
    result = bench.record("--", bench.compile("calls", PRELUDE + CALLS))
    require(result.returncode == 3 and not result.stderr, "the program "
            "changed", result)
    wanted = re.split(r",\s+", CALLS_RECORDED.strip().replace("\n", " "))
    found = named(bench.marked())
    require(found == wanted, f"not the calls that were made\n{wanted}\n{found}")
    require(bench.lines()[-1] == ["strangers", "0"], "frees of unknown objects")


def threads(bench):
    bench.record("--", bench.compile("threads", PRELUDE + THREADS))
    marked = bench.marked()
    sizes = {number: size for _, kind, number, size in
             (event for event in marked if event[1] == "malloc")}
    wanted = [("0", "malloc", str(9000 + i)) for i in range(1000)]
    for thread, born, dead in (("1", 1000, 9000), ("2", 2000, 1000),
                               ("0", 10000, 2000)):
        for i in range(1000):
            wanted.append((thread, "free", str(dead + i)))
            wanted.append((thread, "malloc", str(born + i)))
    # What pthread_create takes for itself is not the program's.
    ours = set(size for _, _, size in wanted)
    found = [(thread, kind, sizes[number])
             for thread, kind, number, *_ in calls_of(marked)
             if sizes.get(number) in ours]
    require(found == wanted, "not the order in which it happened")
    ends = [event[0] for event in marked if event[1] == "end"]
    require(ends == ["1", "2"], f"threads that ended: {ends}")


def crowd(bench):
    """An object is freed once, after its birth, whoever does it."""
    bench.record("--", build_crowd(bench))
    living, crossed = {}, 0
    for thread, kind, number, *_ in calls_of(bench.events()):
        if kind == "free":
            require(number in living, f"{number}: freed and not alive")
            crossed += living.pop(number) != thread
        else:
            require(number not in living, f"{number}: born twice")
            living[number] = thread
    require(crossed > 100, f"only {crossed} frees by another thread")


def early_calls(bench):
    bench.record("--", bench.compile("early", PRELUDE + EARLY))
    events = bench.events()
    number = events[0][2]
    require(["0", "malloc", number, "31"] == events[0], "the first is missing")
    require(["0", "realloc", number, "32"] in events, "no realloc")
    require(["0", "free", number] in events, "no free at the end")


def limit(bench):
    program = build_crowd(bench)
    for calls in (1, 17, 20000):
        bench.record("--limit", calls, "--", program)
        found = len(calls_of(bench.events()))
        require(found == calls, f"{found} calls, not {calls}")


# -- how programs end, and what they start --

def endings(bench):
    program = bench.compile("endings", PRELUDE + ENDINGS)
    for how, status in (("return", 6), ("_exit", 7), ("kill", -9),
                        ("abort", -6)):
        result = bench.record("--", program, how)
        require(result.returncode == status, f"{how}: status", result)
        events = [event[1:] for event in bench.events()]
        marks = sum(event[-1] == "77777" for event in events)
        require(marks == (2 if status > 0 else 1), f"{how}: {marks} marks")
        require(events[-1][0] == "free" or events[-1][-1] == "123",
                f"{how}: the last is {events[-1]}")


def children(bench):
    program = bench.compile("endings", PRELUDE + ENDINGS)
    for how in ("fork", "vfork"):
        for option, files in (("--", 1), ("-c", 2)):
            for path in bench.folder.glob("trace*"):
                path.unlink()
            bench.record(option, program, how)
            paths = sorted(bench.folder.glob("trace*"))
            require(len(paths) == files, f"{how} {option}: {paths}")
            for path in paths:
                require(named(bench.marked(path)) == ["malloc a 123", "free a"],
                        f"{path} holds another process's calls")


def exec_begins_anew(bench):
    program = bench.compile("endings", PRELUDE + ENDINGS)
    result = bench.record("--", program, "exec")
    require(result.returncode == 8, "the second program's status", result)
    require(len(bench.marked()) == 2, "not the second program alone")
    require(bench.lines()[0] == ["program", "endings"], "not its name")


def programs_unchanged(bench):
    script = ("import sys, threading; print(sorted({str(i): i for i in "
              "range(9999)})[:9]); t = threading.Thread(target=print, "
              "args=[7]); t.start(); t.join(); sys.exit('to stderr')")
    for words in (["python3", "-c", script], ["perl", "-e", "print 1 .. 99"],
                  ["sh", "-c", "ls / | sort | head -3; echo $$ >&2; exit 5"],
                  ["sort", "/etc/passwd"]):
        words[0] = find_program(words[0])
        plain, seen = bench.run(*words), bench.record("--", *words)
        require(plain.stdout == seen.stdout
                and plain.returncode == seen.returncode
                and len(plain.stderr.split()) == len(seen.stderr.split()),
                f"{words[0]} is not itself", seen)
        require(len(bench.events()) > 5, f"{words[0]} made no calls")


def no_room(bench):
    """The file may not grow any more: it ends, and nothing else does."""
    program = build_crowd(bench, 50000)
    room = 1 << 18

    def shrink():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    result = bench.record("--", program, preexec_fn=shrink)
    found = re.search(rb"trace: File too large; the trace ends after (\d+) "
                      rb"calls\n$", result.stderr)
    require(result.returncode == 0 and found, "no word of it", result)
    calls = len(calls_of(bench.events()))
    require(calls == int(found.group(1)) and calls > 10000, f"{calls} calls")
    room = 1000
    result = bench.record("--", program, preexec_fn=shrink)
    require(result.returncode == 0 and b"nothing is recorded" in result.stderr,
            "no word of it", result)


# -- reading --

def refuses_damage(bench):
    bench.record("--", bench.compile("calls", PRELUDE + CALLS))
    path = bench.folder / "trace"
    data = path.read_bytes()
    length = int.from_bytes(data[LENGTH_AT:LENGTH_AT + 8], "little")
    end = HEAD_BYTES + length

    def refused(what, broken, *texts):
        path.write_bytes(broken)
        for words in ([], ["print=1"]):
            result = bench.replay(*words)
            require(result.returncode == 2, f"{what}: accepted", result)
            for text in texts:
                require(text.encode() in result.stderr, f"{what}: {text}",
                        result)

    refused("empty", b"", "byte 0", "empty")
    refused("a text", b"not at all\n" * 99, "byte 0", "not a trace")
    refused("another version", data.replace(b"trace 1", b"trace 2", 1),
            "byte 0", "version")
    for size in (HEAD_BYTES, HEAD_BYTES + 1, end - 1):
        refused(f"{size} bytes", data[:size], f"byte {size}: the file ends "
                f"here, {end - size} bytes too early")
    shorter = (length + 1).to_bytes(8, "little")
    padded = data[:LENGTH_AT] + shorter + data[LENGTH_AT + 8:end]
    refused("an unknown event", padded + b"\x07", f"byte {end}", "kind 7")
    refused("an event cut off", padded + b"\x80", f"byte {end}", "cut off")
    refused("a free before any birth", padded[:HEAD_BYTES + 1] + b"\x04"
            + padded[HEAD_BYTES + 1:] + b"\x00", f"byte {HEAD_BYTES + 1}",
            "after 0 births")


def survives_any_byte(bench):
    """Read, or refused with the place; never a crash."""
    bench.record("--", bench.compile("calls", PRELUDE + CALLS))
    path = bench.folder / "trace"
    data = path.read_bytes()
    length = int.from_bytes(data[LENGTH_AT:LENGTH_AT + 8], "little")
    refusals = 0
    for at in range(HEAD_BYTES, HEAD_BYTES + length):
        broken = bytearray(data[:HEAD_BYTES + length])
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        result = bench.replay("print=1")
        require(result.returncode in (0, 2), f"byte {at}", result)
        require(result.returncode == 0 or b": byte " in result.stderr,
                f"byte {at}: no place", result)
        refusals += result.returncode == 2
    require(refusals > 0, "no change was noticed")


def rejects_bad_usage(bench):
    for words in (["-n", "0", "true"], ["-n", "many", "true"], [], ["--bad"],
                  ["-o", "no/such/folder", "true"], ["-o", ".", "true"],
                  ["-o", "/dev/null", "true"]):
        result = bench.run(bench.tool, "record", *words)
        require(result.returncode == 125 and b"ashlar" in result.stderr,
                f"{words}", result)
    (bench.folder / "trace").write_bytes(b"kept")
    result = bench.record("--", "no-such-command")
    require(result.returncode == 127, "no such command", result)
    require((bench.folder / "trace").read_bytes() == b"kept",
            "a command that was not found costs the last trace")
    for words in (["help", "record"], ["record", "--help"]):
        result = bench.run(bench.tool, *words)
        require(result.returncode == 0 and b"--limit" in result.stdout,
                f"{words}", result)
    for words in ([], ["trace"], ["trace=x", "speed=1"],
                  ["trace=x", "rounds=0"], ["trace=x", "rounds=2x"]):
        result = bench.run(bench.replayer(), *words)
        require(result.returncode == 2, f"replay {words}", result)


# -- playing --

def replays_the_same_calls(bench):
    """The replay of a trace, recorded, has the trace in it."""
    program = build_crowd(bench)
    python = [find_program("python3"), "-c",
              "import json; json.dumps([{'a': [i]} for i in range(2000)])"]
    for words in (python, [program]):
        bench.record("--", *words, env={"PYTHONMALLOC": "malloc"})
        wanted = calls_of(bench.events())
        for preload in ("", bench.library):
            bench.run(bench.tool, "record", "-o", "again", "--",
                      bench.replayer(), "trace=trace",
                      env={"LD_PRELOAD": str(preload)})
            compare(wanted, calls_of(bench.events("again")), words[0])


def compare(wanted, found, program):
    """Call by call for one thread; for more, that each one's are there."""
    for thread in sorted({event[0] for event in wanted}):
        mine = [event[1:2] + event[3:] for event in wanted
                if event[0] == thread]
        # Which thread plays a part is chance, but for the first; and before
        # and after it there are calls of the program's own.
        played = [[event[1:2] + event[3:] for event in found
                   if event[0] == other]
                  for other in sorted({event[0] for event in found})]
        require(any(contains(part, mine) for part in played),
                f"{program}: thread {thread}'s calls were not made")


def contains(part, mine):
    """Whether all of mine is in the part, in its order."""
    calls = iter(part)
    return all(call in calls for call in mine)


def measures(bench):
    bench.record("--", build_crowd(bench))
    calls = len(calls_of(bench.events()))
    for preload in ("", bench.library):
        for rounds in (1, 2, 5):
            result = bench.replay(f"rounds={rounds}", preload=preload)
            found = re.fullmatch(r"seconds=(\d+\.\d+) peak_kb=(\d+) "
                                 r"ops=(\d+)\n", result.stdout.decode())
            require(result.returncode == 0 and found, "no figures", result)
            require(int(found.group(3)) == calls * rounds, "not all", result)
            require(float(found.group(1)) > 0, "no time", result)
            require(300 < int(found.group(2)) < 60000, "the peak", result)


def notices_a_broken_allocator(bench):
    broken = bench.compile("broken.so", BROKEN, "-shared", "-fPIC")
    bench.record("--", bench.compile("threads", PRELUDE + THREADS))
    require(bench.replay().returncode == 0, "it fails on a sound one")
    result = bench.replay(preload=broken)
    require(result.returncode == 1 and b"contents" in result.stderr,
            "not noticed", result)


TESTS = [
    every_call, threads, crowd, early_calls, limit, endings, children,
    exec_begins_anew, programs_unchanged, no_room, refuses_damage,
    survives_any_byte, rejects_bad_usage, replays_the_same_calls, measures,
    notices_a_broken_allocator,
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
    with tempfile.TemporaryDirectory(prefix="ashlar-record-") as folder:
        try:
            test(Bench(options.build.resolve(), options.lib.resolve(),
                       Path(folder).resolve()))
        except (Failure, Missing, subprocess.SubprocessError) as error:
            print(f"{options.suite}: FAILED: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
