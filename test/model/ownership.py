#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Has Spin check ownership.pml, the model of docs/design/ownership.md.

    ownership.py [--only NAME ...] [--build FOLDER]

Every configuration is searched to the end and must be without error; each
mistake, built into the configuration named here, must be found. Then every
step of the model has to have been taken somewhere: a step that nothing reaches
is a case that nobody looks at. The last line gives the numbers of states.

--only takes names of configurations and mistakes. What an unexpected error
did is printed step by step: thread, line of the model, what happened. The
work is done in a folder that disappears, or stays in FOLDER.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MODEL = Path(__file__).resolve().with_suffix(".pml")

CONFIGURATIONS = [
    "race", "again", "fork_owner", "fork_freer", "fork_adopter", "fork_late",
    "proxy", "owner", "orphan", "chill", "lists", "kinds",
]

# mistake: where it shows
MISTAKES = {
    "announce_claimed": "race",
    "claim_drops_list": "race",
    "close_by_count": "owner",
    "disown_blindly": "owner",
    "disown_empty": "again",
    "drain_off_the_list": "owner",
    "enter_before_leaving": "fork_freer",
    "fork_collects_all": "fork_late",
    "fork_exits_before_looking": "fork_late",
    "fork_forgets_orphans": "fork_freer",
    "fork_keeps_map": "fork_late",
    "fork_leaves_claims": "fork_adopter",
    "fork_pushes_before_repair": "fork_late",
    "fork_trusts_counts": "fork_freer",
    "fork_walks_the_list": "fork_owner",
    "heap_before_claim": "race",
    "heap_for_map": "owner",
    "heap_read_before": "race",
    "inherit_blindly": "orphan",
    "kind_read_before": "kinds",
    "link_read_late": "lists",
    "map_after_disown": "race",
    "mark_after_disown": "owner",
    "number_read_before": "owner",
    "orphan_blindly": "orphan",
    "pending_before_list": "owner",
    "proxy_begun_lets_go": "proxy",
    "proxy_event_unseen": "proxy",
    "proxy_lock_unseen": "proxy",
    "proxy_looks_first": "proxy",
    "proxy_map_back": "proxy",
    "proxy_map_first": "proxy",
    "proxy_waits_once": "proxy",
    "settle_blindly": "race",
    "two_words_of_a_heap": "orphan",
}

# Two at a time: each takes up to 300 MB.
JOBS = min(2, len(os.sched_getaffinity(0)))
MEMORY_MB_MAX = 900
DEPTH_MAX = 100000
STATES_MIN = 10000               # fewer: the threads cannot get anywhere
TRAIL_LINES_MAX = 60

Search = namedtuple("Search", "name states error said folder")


class Surprise(Exception):
    pass


def tool(folder, *command):
    run = subprocess.run(command, cwd=folder, text=True, check=False,
                         capture_output=True)
    if run.returncode != 0:
        raise Surprise(f"{' '.join(map(str, command))}:\n"
                       f"{(run.stdout + run.stderr)[-2000:]}")
    return run.stdout


# -- one search --

def defines(configuration, mistake=None):
    names = [f"-DCONFIG_{configuration}"]
    if mistake:
        names.append(f"-DBUG_{mistake}")
    return names


def search(build, configuration, mistake=None):
    """Lets Spin search; `error` is what it found first, or None."""
    name = mistake or configuration
    folder = build / name
    folder.mkdir(parents=True, exist_ok=True)
    # -o3: each step is counted for itself. Threads that vanish are stopped
    # by a condition that the reduction knows nothing of.
    tool(folder, "spin", "-a", "-o3", *defines(configuration, mistake), MODEL)
    vanish = configuration.startswith("fork")
    tool(folder, "gcc", "-O0", "-w", "-DSAFETY", f"-DMEMLIM={MEMORY_MB_MAX}",
         *(["-DNOREDUCE"] if vanish else []), "-o", "pan", "pan.c")
    # -E: those that vanished may stand anywhere; Watch looks at the others.
    said = tool(folder, "./pan", f"-m{DEPTH_MAX}", "-w22",
                *(["-E"] if vanish else []))
    states = re.search(r"(\d+) states, stored", said)
    errors = re.search(r"errors: (\d+)", said)
    if not states or not errors or "max search depth" in said:
        raise Surprise(f"{name}: Spin said\n{said[-2000:]}")
    error = re.search(r"^pan:1: (.*)", said, re.MULTILINE)
    if (error is not None) != (errors[1] != "0"):
        raise Surprise(f"{name}: Spin said\n{said[-2000:]}")
    return Search(name, int(states[1]), error and error[1], said, folder)


def trail(found, configuration, mistake=None):
    """The steps that led to an error, the last ones."""
    steps = tool(found.folder, "spin", "-t", "-p", "-o3",
                 "-k", f"{MODEL.name}.trail",
                 *defines(configuration, mistake), MODEL)
    text = MODEL.read_text(encoding="utf-8").splitlines()
    step = re.compile(r"proc\s+(\d+) \(Thread:\d+\) \S+:(\d+) ")
    places = [(m[1], int(m[2])) for m in map(step.search, steps.splitlines())
              if m]
    lines = [f"  thread {thread}  line {line}  {text[line - 1].strip()}"
             for before, (thread, line) in zip([None] + places, places)
             if (thread, line) != before]
    return "\n".join(lines[-TRAIL_LINES_MAX:])


def check_configuration(build, configuration):
    found = search(build, configuration)
    if found.error:
        raise Surprise(f"{configuration}: {found.error}\n"
                       + trail(found, configuration))
    if "Search not completed" in found.said or \
            "Full statespace search" not in found.said:
        raise Surprise(f"{configuration}: not all states were seen")
    if found.states < STATES_MIN:
        raise Surprise(f"{configuration}: only {found.states} states")
    return found


def check_mistake(build, mistake):
    configuration = MISTAKES[mistake]
    found = search(build, configuration, mistake)
    if not found.error:
        raise Surprise(f"{mistake}: not found in {configuration}")
    # Otherwise the model itself broke, and nothing was found.
    if not re.match(r"assertion violated \(|assertion violated \w+\[|"
                    r"assertion violated 0|invalid end state", found.error):
        raise Surprise(f"{mistake}: {found.error}\n"
                       + trail(found, configuration, mistake))
    return found


# -- all of them --

def unreached(said):
    """Lines of the model to the number of their steps that were not taken."""
    lines = Counter()
    inside = False
    for line in said.splitlines():
        if line.startswith("unreached in"):
            inside = line == "unreached in proctype Thread"
        step = re.match(r"\t\S+:(\d+), state \d+, ", line)
        if inside and step:
            lines[int(step[1])] += 1
    return lines


def check_all_steps(searches):
    """Each step was taken in one configuration at least."""
    all_lines, taken = set(), set()
    for found in searches:
        missed = unreached(found.said)
        # With no room to search in, every step is missed.
        steps = unreached(tool(found.folder, "./pan", "-m1", "-w10", "-E"))
        all_lines |= set(steps)
        taken |= {line for line in steps if missed[line] < steps[line]}
    text = MODEL.read_text(encoding="utf-8").splitlines()
    never = [f"  {line}: {text[line - 1].strip()}"
             for line in sorted(all_lines - taken)
             if "assert(false)" not in text[line - 1]]
    if never:
        raise Surprise("no configuration takes these steps:\n"
                       + "\n".join(never))


def check_names():
    """The model and the lists above name the same."""
    text = MODEL.read_text(encoding="utf-8")
    for prefix, names in (("CONFIG_", CONFIGURATIONS), ("BUG_", MISTAKES)):
        model = set(re.findall(rf"\b{prefix}(\w+)", text))
        if model != set(names):
            raise Surprise(f"{prefix}: {sorted(model ^ set(names))} "
                           "are not both here and in the model")


def check(build, only):
    unknown = set(only) - set(CONFIGURATIONS) - set(MISTAKES)
    if unknown:
        raise Surprise(f"no such name: {sorted(unknown)}")
    configurations = [n for n in CONFIGURATIONS if not only or n in only]
    mistakes = [n for n in MISTAKES if not only or n in only]
    surprises = []
    searches = []
    with ThreadPoolExecutor(JOBS) as pool:
        jobs = [pool.submit(check_configuration, build, name)
                for name in configurations]
        jobs += [pool.submit(check_mistake, build, name) for name in mistakes]
        for job in jobs:
            try:
                searches.append(job.result())
            except Surprise as surprise:
                surprises.append(surprise)
    if surprises:
        raise Surprise("\n".join(map(str, surprises)))
    searches = searches[:len(configurations)]
    if not only:
        check_all_steps(searches)
    return searches, len(mistakes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--build", type=Path)
    arguments = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        build = (arguments.build or Path(temporary)).resolve()
        try:
            for name in ("spin", "gcc"):
                if shutil.which(name) is None:
                    raise Surprise(f"{name} is missing: tools/setup.sh check")
            check_names()
            searches, mistakes = check(build, arguments.only)
        except Surprise as surprise:
            print(f"ownership: FAILED\n{surprise}")
            return 1
    counts = ", ".join(f"{s.name} {s.states}" for s in searches)
    print(f"ownership: passed: all states of {len(searches)} configurations"
          f" ({counts}), {mistakes} mistakes found,"
          f" {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
