#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""demo - a real server on Ashlar beside glibc's malloc and jemalloc.

Runs Debian's redis-server once on each allocator, puts the same load on all
three in turn, deletes 80 % of the keys at random and leaves the servers
alone for a while.  Every value is checked before and after the deletes, and
the library that serves malloc is read out of each process.

Exit status: 0 all right, 1 a crash or a wrong answer, 2 something that the
demo needs is missing, 130 interrupted.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True      # leave no __pycache__ in the sources

import demo_data
from demo_data import PATTERNS, SIZES
from demo_proof import ProofError, prove
from demo_redis import DemoError, Server
from demo_report import Rates, result

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DELETED_SHARE = 0.8

# One row per command of the load.  Counts are multiples of 16, the depth of
# redis-benchmark's pipeline, so that exactly as many are sent.  Lists only
# grow, so a push of a large value is sent less often: some 40 MB a round.
#    command  words before the value         keys   count by size of value
LOAD = (
    ("set",   "set key:__rand_int__",       40000, (64000,) * 5),
    ("get",   "get key:__rand_int__",       40000, (64000,) * 5),
    ("lpush", "lpush list:__rand_int__",    10000,
     (48000, 48000, 24000, 12000, 4800)),
    ("hset",  "hset hash:__rand_int__ f{}", 10000, (64000,) * 5),
)


class Missing(Exception):
    """Something that the demo needs is not there; the text says what."""


class Plan:
    """How much the demo does: in full (under two minutes) or --quick."""

    def __init__(self, quick):
        self.divisor = 4 if quick else 1
        self.rounds_max = 1 if quick else 3
        self.wait_seconds = 2 if quick else 10
        # No new round begins that would end later than this: a slow
        # machine does fewer, and the demo stays under two minutes.
        self.load_seconds_max = 65
        # Three servers of up to 500 MB and what Python keeps.
        self.memory_mib = 2000 // self.divisor


class Steps:
    """The progress shown: one line per step, with the time since start."""

    def __init__(self):
        self.start = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.start

    def say(self, text):
        print(f"[{self.seconds():6.1f} s] {text}", flush=True)


# -- preparing ---------------------------------------------------------------

def find_programs():
    for name in ("redis-server", "redis-benchmark"):
        if shutil.which(name) is None:
            raise Missing(f"{name} is not installed; as root: apt-get "
                          "install redis-server redis-tools")
    return shutil.which("redis-server")


def linked_library(program, name):
    """The path under which program's linker finds the library name."""
    listing = subprocess.run(
        ["ldd", program], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        fields = line.split()
        if fields[:2] == [name, "=>"] and len(fields) > 2:
            return fields[2]
    raise Missing(f"{program} is not linked to {name}; the demo needs "
                  "Debian's redis-server, which is")


def allocators(library, program):
    """List (name, library): the one on show, then the two to compare.

    All three are preloaded alike.  Debian's redis-server is linked to
    libjemalloc, which would serve by itself; a preloaded library comes
    before it in the linker's search, libc.so.6 too.
    """
    if not os.path.isfile(library):
        raise Missing(f"there is no {library}; build it first (make)")
    found = re.match(r"lib(.+?)\.so", os.path.basename(library))
    name = found.group(1) if found else os.path.basename(library)
    rows = [("glibc", linked_library(program, "libc.so.6")),
            ("jemalloc", linked_library(program, "libjemalloc.so.2"))]
    if name in dict(rows):
        name += "-given"
    return [(name, os.path.abspath(library))] + rows


def check_memory(plan, steps):
    with open("/proc/meminfo", encoding="ascii") as lines:
        fields = dict(line.split(":") for line in lines)
    free_mib = int(fields["MemAvailable"].split()[0]) // 1024
    if free_mib < plan.memory_mib:
        steps.say(f"only {free_mib} MiB of memory are free, and "
                  f"{plan.memory_mib} are advised; try --quick if it fails")


def start_all(servers, program, steps):
    for server in servers:
        server.start(program)
        try:
            server.served_by = prove(server.process.pid, server.library)
        except (ProofError, OSError) as error:
            raise DemoError(f"no proof that {server.library} serves "
                            f"redis-server: {error}") from error
        steps.say(f"redis-server on {server.name}: malloc is served by "
                  f"{server.served_by}")


# -- the work ----------------------------------------------------------------

def rotated(items, turn):
    turn %= len(items)
    return items[turn:] + items[:turn]


def one_round(servers, rates, sent, plan, number, steps):
    """Each command with each size, on one server after the other."""
    turn = number
    # The order of sizes changes with the round: keys get smaller as well
    # as larger values in place of their old ones.
    for place in rotated(list(range(len(SIZES))), 2 * number):
        size = SIZES[place]
        step = {server.name: Rates() for server in servers}
        for command, words, keys_count, counts in LOAD:
            count = counts[place] // plan.divisor // 16 * 16
            line = words.format(size).split()
            if command != "get":
                line.append(PATTERNS[size].decode())
            sent[command] = sent.get(command, 0) + count
            turn += 1
            for server in rotated(servers, turn):
                measured = server.load(
                    count, keys_count // plan.divisor, line)
                for some in (rates[server.name], step[server.name]):
                    some.add(command, size, count, measured)
        shown = "  ".join(f"{name} {some.per_second():,.0f}/s"
                          for name, some in step.items())
        steps.say(f"load, round {number + 1}, values of {size} B:  {shown}")


def put_load(servers, plan, steps):
    """Run the rounds; return (rates by name, commands sent)."""
    rates = {server.name: Rates() for server in servers}
    sent = {}
    start = time.monotonic()
    for number in range(plan.rounds_max):
        one_round(servers, rates, sent, plan, number, steps)
        spent = time.monotonic() - start
        if spent * (number + 2) / (number + 1) > plan.load_seconds_max:
            break
    return rates, sent


def delete_and_wait(servers, before, plan, seed, steps):
    """Delete, note the memory, wait, note it again; return the deleted.

    The waits overlap: each server is left alone for its own full time.
    """
    deleted = {}
    for server in servers:
        keys = before[server.name].digests.keys()
        deleted[server.name] = demo_data.delete_at_random(
            server, keys, DELETED_SHARE, seed)
        while server.facts("memory")["lazyfree_pending_objects"] != "0":
            time.sleep(0.01)
        server.note("after deletes")
        server.note_later("after wait", plan.wait_seconds)
        steps.say(f"{server.name}: {len(deleted[server.name]):,} of "
                  f"{len(keys):,} keys deleted at random")
    for server in servers:
        server.wait_noted("after wait")
    steps.say(f"each server was left alone for {plan.wait_seconds} s")
    return deleted


def work(servers, program, plan, seed, steps):
    """The demo from start to end; return the lines of its result."""
    start_all(servers, program, steps)
    for server in servers:
        demo_data.write_known(server)
        ours = demo_data.check_known(server, demo_data.known_keys())
    steps.say(f"{ours:,} keys with known contents written and read back")

    rates, sent = put_load(servers, plan, steps)
    before, after = {}, {}
    for server in servers:
        before[server.name] = demo_data.check_full(server, sent)
        steps.say(f"{server.name}: all {len(before[server.name].digests):,} "
                  "values read and right")
    deleted = delete_and_wait(servers, before, plan, seed, steps)
    for server in servers:
        after[server.name] = demo_data.check_rest(
            server, before[server.name], deleted[server.name])
        steps.say(f"{server.name}: the {len(after[server.name].digests):,} "
                  "keys left are the right ones, unchanged")
    for server in servers:
        server.stop()
    steps.say("all servers shut down in good order")
    return result(servers, rates, before, after, plan.wait_seconds)


# -- the command -------------------------------------------------------------

def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Run redis-server on Ashlar, glibc's malloc and "
                    "jemalloc, side by side.")
    parser.add_argument(
        "--lib", default=os.path.join(ROOT, "build", "libashlar.so"),
        help="the allocator on show (default: build/libashlar.so)")
    parser.add_argument(
        "--quick", action="store_true",
        help="a quarter of the load, one round, a wait of 2 s")
    parser.add_argument(
        "--seed", type=int, default=1,
        help="chooses the keys that are deleted (default: 1)")
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def clean_up(servers, folder):
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    for server in servers:
        server.kill()
    shutil.rmtree(folder, ignore_errors=True)


def run(arguments, steps):
    program = find_programs()
    rows = allocators(arguments.lib, program)
    plan = Plan(arguments.quick)
    check_memory(plan, steps)
    # Not in $TMPDIR: a unix socket's path has room for 107 bytes.
    folder = tempfile.mkdtemp(prefix="ashlar-demo-", dir="/tmp")
    servers = [Server(name, library, folder) for name, library in rows]
    try:
        return work(servers, program, plan, arguments.seed, steps)
    finally:
        clean_up(servers, folder)


def main():
    arguments = parse_arguments()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, interrupt)
    steps = Steps()
    try:
        lines = run(arguments, steps)
    except Missing as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except DemoError as error:
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    print("\n".join(lines), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
