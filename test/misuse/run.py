#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every misuse, in every place where it can happen, and what has to come.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

A cell is a mistake, a scene and a size (misuse.h says what they are); it runs
in a process of its own, which stderr reaches as packets: a report is one
packet, for it has to be one write. NOTICED has what the library reports, to
the letter. LIMITS has what it does not, each under the words that begin its
point in docs/LIMITS.md, and what hardening:1 makes of it.
"""
import functools
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "start"))

from workshop import TIMEOUT_S, main  # noqa: E402

ROOT = HERE.parent.parent
PACKAGES = ["gcc", "libc6-dev", "python3"]
SECTION = "## Misuse that is not noticed"
PACKET_BYTES = 8192
TIMED_OUT = 124
SOURCES = ["misuse.c", "scenes.c", "twice.c", "astray.c", "lists.c"]

# -- sizes: what is asked for --

TINY, SMALL, MIDDLE, WIDE = 8, 48, 1000, 20000
RUN, MAPPING = 300_000, 40_000_000
INNER = [SMALL, MIDDLE, WIDE]           # these have an inside to point to
BLOCKS = [TINY, *INNER]
LARGE = [RUN, MAPPING]
CLASSES = {TINY: 16, SMALL: 48, MIDDLE: 1024, WIDE: 20480}

# -- scenes: in whose slab the victim is, seen by who does wrong --

HERE_IS, THERE, NOWHERE = "of this thread", "of another thread", "of no thread"
# Who frees much into a slab that is nobody's may come to own it.
EITHER = (HERE_IS, NOWHERE)
PLACES = {
    "own": HERE_IS, "warm": HERE_IS, "full": HERE_IS, "reused": HERE_IS, "forked": HERE_IS,
    "remote": THERE, "keeper": THERE, "bare": THERE, "full-remote": THERE,
    "unowned": NOWHERE, "disowned": NOWHERE, "ended": NOWHERE,
    "vanished": NOWHERE,
    # Two threads; the owner comes last. One of them has room in hand.
    "mixed": HERE_IS, "mixed-keeper": HERE_IS, "mixed-warm": HERE_IS,
}
MIXED = ["mixed", "mixed-keeper", "mixed-warm"]
SCENES = [scene for scene in PLACES if scene not in MIXED]
# A large object has no slab that could be full or nobody's.
LARGE_SCENES = ["own", "reused", "remote", "bare", "forked", "vanished"]
FEW = ["own", "full", "remote", "unowned", "ended"]
# What is freed stays in hand, in the owner's or another thread's.
IN_HAND = ["warm", "keeper"]

# Whether a large object that was freed is still known by its address: a run
# in the hands of a thread is, until others need it.
NOT_KEPT = ["bare"]

# -- cells --

# place None: the report says nothing of a block; several: one of them.
Cell = namedtuple("Cell", "mistake scene bytes row call place")
Limit = namedtuple("Limit", "words mistake scenes sizes then hardened")
Outcome = namedtuple("Outcome", "status said packets pointer")

SILENT, FAULT = "nothing is said", "SIGSEGV"


def place_of(mistake, scene):
    moves = PLACES[scene] == NOWHERE and mistake.endswith("_between")
    return EITHER if moves else PLACES[scene]


def cells(row, mistakes, scenes, sizes, call="free", place=""):
    for mistake in mistakes.split():
        for scene in scenes:
            where = place_of(mistake, scene) if place == "" else place
            for size in sizes:
                yield Cell(mistake, scene, size, row, call, where)


def freed_large(mistakes, scenes, sizes=tuple(LARGE), call="free"):
    """Large objects that are freed once more."""
    for mistake in mistakes.split():
        for scene in scenes:
            for size in sizes:
                known = size == RUN and scene not in NOT_KEPT
                yield Cell(mistake, scene, size,
                           "double_free" if known else "nothing", call,
                           "" if known else None)


NOTICED = [
    # Twice.
    *cells("double_free", "twice", SCENES, BLOCKS),
    *freed_large("twice", LARGE_SCENES),
    *cells("double_free", "twice_other_first", MIXED, BLOCKS),
    *cells("double_free", "twice_other_last", MIXED, BLOCKS, place=THERE),
    *freed_large("twice_other_first twice_other_last", ["mixed"]),
    *cells("double_free", "twice_with_others_between "
           "twice_with_other_sizes_between", [*FEW, *IN_HAND], BLOCKS),
    *freed_large("twice_with_others_between", ["own", "remote"]),
    *cells("double_free", "twice_with_refills_between",
           ["full", "full-remote", "unowned"], BLOCKS),
    *cells("double_free", "twice_with_a_trim_between",
           [*FEW, *IN_HAND, "full-remote"], BLOCKS),
    *cells("double_free", "realloc_of_free longer_realloc_of_free",
           [*FEW, *IN_HAND], BLOCKS, "realloc"),
    *freed_large("realloc_of_free longer_realloc_of_free",
                 ["own", "remote"], call="realloc"),
    *cells("double_free",
           "sized_free_of_free aligned_free_of_free delete_of_free",
           ["own", "remote", *IN_HAND], BLOCKS),
    *freed_large("sized_free_of_free aligned_free_of_free delete_of_free",
                 ["own"]),
    *cells("double_free", "twice_in_hand", ["own", "remote"], BLOCKS),

    # Where the memory is no block's any more.
    *cells("nothing", "after_all", ["unowned"], INNER, place=None),
    *cells("nothing", "after_all", ["ended"], BLOCKS, place=None),
    *cells("nothing", "large_after_trim", ["own", "bare"], LARGE, place=None),
    *cells("nothing", "never_handed_out", ["own", "ended"],
           [TINY, SMALL, MIDDLE]),

    # Beside the start of a block.
    *cells("misaligned", "off_by_one off_by_four off_by_eight", SCENES,
           BLOCKS),
    *cells("misaligned", "before_by_one", FEW, BLOCKS),
    *cells("interior", "off_by_one off_by_four off_by_eight", LARGE_SCENES,
           LARGE),
    *cells("interior", "inside", SCENES, INNER),
    *cells("interior", "in_the_middle at_the_end", FEW, INNER),
    *cells("interior", "inside in_the_middle at_the_end", LARGE_SCENES,
           LARGE),
    *cells("interior", "realloc_inside", FEW, INNER, "realloc"),
    *cells("interior", "realloc_inside", ["own", "remote"], LARGE,
           "realloc"),
    *cells("interior", "usable_size_inside", FEW, INNER,
           "malloc_usable_size"),
    *cells("interior", "usable_size_inside", ["own", "remote"], LARGE,
           "malloc_usable_size"),
    *cells("interior", "behind_the_last_block", ["own", "remote", "ended"],
           [SMALL]),

    # Somebody else's memory, or no memory.
    *cells("foreign", "of_the_stack of_static_data of_code "
           "of_the_environment of_a_small_number of_one of_a_mapping "
           "of_unmapped_memory of_the_kernel far_away",
           ["own", "bare"], [SMALL], place=None),
    *cells("foreign", "sized_free_of_the_stack delete_of_static_data",
           ["own", "bare"], [SMALL], place=None),
    *cells("foreign", "realloc_of_the_stack", ["own", "bare"], [SMALL],
           "realloc", None),
    *cells("foreign", "usable_size_of_static_data", ["own", "bare"],
           [SMALL], "malloc_usable_size", None),
    *cells("foreign", "with_bit_48 with_bit_62 with_bit_63",
           ["own", "remote"], [*BLOCKS, *LARGE], place=None),

    # Lists of free blocks that the program wrote over.
    *cells("corrupted", "link_is_garbage link_is_cut link_to_static_data "
           "link_to_another_slab cleared_after_free filled_after_free",
           ["own", "full", "remote", "unowned", "disowned", "ended",
            "vanished"], BLOCKS, "malloc", HERE_IS),
    *cells("corrupted", "link_into_a_block link_to_itself",
           ["own", "full", "remote", "unowned"], BLOCKS, "malloc", HERE_IS),
    *cells("corrupted", "overflow", ["own"], BLOCKS, "malloc", HERE_IS),
]

# What may come later, where the mistake itself is not noticed: the block is
# handed out twice, freed by both, and the slab's counts are off.
LATER = {SILENT, "double_free", "nothing", "corrupted"}
ALWAYS_SILENT = {SILENT}

# hardened: the row that hardening:1 reports at once, or a set as above.
LIMITS = [
    Limit("A block in hand", "link_in_hand", ["own", "remote"], BLOCKS,
          ALWAYS_SILENT, "corrupted"),
    Limit("A block in hand", "link_in_warm_hand", ["warm"], BLOCKS,
          ALWAYS_SILENT, "corrupted"),
    Limit("A block that is out again", "twice_while_out_again",
          ["own", "warm"], BLOCKS, {"double_free"}, {"double_free"}),
    Limit("A block that is out again", "twice_while_out_again", ["own"],
          LARGE, {"double_free", "nothing"}, {"double_free", "nothing"}),
    Limit("A pointer into a block", "inside_with_tag", ["own"], [MIDDLE],
          {FAULT}, "foreign"),
    Limit("Two threads at once", "both_at_once", ["own", "warm"], BLOCKS,
          LATER, LATER),
    Limit("A block that was never handed out", "never_handed_out",
          ["remote"], [SMALL, MIDDLE], LATER, LATER),
    Limit("A block that was never handed out", "never_used_in_hand",
          ["own"], [TINY, MIDDLE], LATER | {FAULT}, "double_free"),
    Limit("`malloc_usable_size` of a free block", "usable_size_of_free",
          ["own", "remote", *IN_HAND], BLOCKS, ALWAYS_SILENT, ALWAYS_SILENT),
    Limit("A link that leads to another block of the same slab",
          "link_to_a_live_block", FEW, BLOCKS, LATER, "corrupted"),
    Limit("The second word of a free block", "second_word", FEW, BLOCKS,
          ALWAYS_SILENT, "corrupted"),
    Limit("The second word of a free block", "twice_without_mark", FEW,
          BLOCKS, LATER, LATER),
    Limit("Other writes", "rest_of_a_free_block overflow_into_a_live_block",
          ["own", "remote"], INNER, ALWAYS_SILENT, ALWAYS_SILENT),
    Limit("A wrong size", "size_too_large size_max size_of_delete",
          ["own", "remote"], [*INNER, *LARGE], ALWAYS_SILENT, "size"),
    Limit("A wrong size", "size_too_small size_zero", ["own", "remote"],
          INNER, ALWAYS_SILENT, "size"),
    Limit("A wrong size", "size_too_small size_zero", ["own", "remote"],
          LARGE, ALWAYS_SILENT, {SILENT, "size"}),
    Limit("A wrong size", "size_max size_of_delete", ["own"], [TINY],
          ALWAYS_SILENT, "size"),
]


# -- what has to be said --

def messages():
    table = (ROOT / "src/table/misuse.def").read_text(encoding="utf-8")
    return dict(re.findall(r'^MISUSE\((\w+), +"(.*)"\)$', table,
                           re.MULTILINE))


MESSAGES = messages()


def described(cell):
    """What the report may say of the block, in parentheses."""
    if cell.place is None:
        return [""]
    if cell.bytes in CLASSES:
        places = [cell.place] if isinstance(cell.place, str) else cell.place
        return [f" (block of {CLASSES[cell.bytes]} bytes in a slab {place})"
                for place in places]
    page = os.sysconf("SC_PAGESIZE")
    size = (cell.bytes + page - 1) // page * page
    kind = "a run of slices" if cell.bytes == RUN else "a mapping"
    return [f" (large object of {size} bytes in {kind})"]


def reports(cell, pointer):
    """The lines that may come, mostly one."""
    return [f"<ashlar>: {cell.call}({pointer}): {MESSAGES[cell.row]}{what}\n"
            for what in described(cell)]


def row_of(packet):
    """The row of the table that a report, whatever its pointer, belongs to."""
    for row, message in MESSAGES.items():
        if re.fullmatch(r"<ashlar>: \w+\(0x[0-9a-f]+\): "
                        + re.escape(message) + r"( \(.*\))?\n", packet):
            return row
    return packet


# -- running one cell --

def packets_of(reader):
    packets = []
    reader.setblocking(False)
    while True:
        try:
            packet = reader.recv(PACKET_BYTES)
        except BlockingIOError:
            return packets
        if not packet:
            return packets
        packets.append(packet.decode(errors="replace"))


@functools.cache
def program_of(shop):
    """The program, named after what is in its sources."""
    files = [HERE / name for name in ["misuse.h", *SOURCES]]
    contents = b"".join(file.read_bytes() for file in files)
    name = "misuse-" + hashlib.sha256(contents).hexdigest()[:8]
    return shop.compile(name, *(HERE / name for name in SOURCES), folder=HERE)


def commit(shop, cell, conf, **environment):
    """The status, stdout, and each write to stderr."""
    program = program_of(shop)
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with reader, writer:
        try:
            run = subprocess.run(
                [program, cell.mistake, cell.scene, str(cell.bytes)],
                env={"PATH": os.environ["PATH"], "MALLOC_CONF": conf,
                     "LD_PRELOAD": str(shop.library), **environment},
                stdout=subprocess.PIPE, stderr=writer, text=True,
                check=False, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            run = subprocess.CompletedProcess([], TIMED_OUT, "", "")
        writer.close()
        packets = packets_of(reader)
    pointers = re.findall(r"^pointer (\S+)$", run.stdout, re.MULTILINE)
    return Outcome(run.returncode, run.stdout, packets,
                   pointers[-1] if pointers else "none")


def title(cell, conf):
    return f"{cell.mistake} {cell.scene} {cell.bytes} ({conf or 'default'})"


def told(outcome):
    return "".join(re.findall(r"^said (.*\n)", outcome.said, re.MULTILINE))


def expect_report(shop, cell, conf, outcome, status):
    """One write, to the letter, and the same to malloc_message."""
    wanted = reports(cell, outcome.pointer)
    alive = outcome.said.endswith("\nalive\n")
    shop.expect(outcome.status == status and len(outcome.packets) == 1
                and outcome.packets[0] in wanted
                and told(outcome) == outcome.packets[0]
                and alive == (status == 0),
                f"{title(cell, conf)}: ended with {outcome.status}, not "
                f"{status}\n  wrote   {outcome.packets}\n  wanted  "
                f"{wanted}\n  stdout  {outcome.said[-300:]!r}")


def expect_silence(shop, cell, conf, outcome):
    shop.expect(outcome.status == 0 and outcome.packets == []
                and told(outcome) == ""
                and outcome.said.endswith("alive\n"),
                f"{title(cell, conf)}: ended with {outcome.status}, wrote "
                f"{outcome.packets}\n  stdout  {outcome.said[-300:]!r}")


def expect_one_of(shop, cell, conf, outcome, allowed):
    """Silence, or a report of one of these rows; two at once may make two."""
    came = {row_of(packet) for packet in outcome.packets}
    if not came:
        came = {FAULT if outcome.status == -signal.SIGSEGV else SILENT}
    ended = {SILENT: 0, FAULT: -signal.SIGSEGV}.get(min(came),
                                                    -signal.SIGABRT)
    shop.expect(came <= allowed and outcome.status == ended,
                f"{title(cell, conf)}: ended with {outcome.status}, wrote "
                f"{outcome.packets}, wanted one of {sorted(allowed)}\n"
                f"  stdout  {outcome.said[-300:]!r}")


def commit_all(shop, these, conf):
    """(cell, outcome) of each; two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return zip(these, pool.map(
            lambda cell: commit(shop, cell, conf), these))


def limit_cells(limit):
    return list(cells(limit.hardened if isinstance(limit.hardened, str)
                      else "", limit.mistake, limit.scenes, limit.sizes))


def as_hardened(cell):
    """What the report of a limit's cell says else."""
    if cell.mistake == "link_in_hand":      # names where the link leads to
        return {"call": "malloc", "place": None}
    if cell.row == "foreign":
        return {"place": None}
    if cell.row == "corrupted":
        return {"call": "malloc", "place": HERE_IS}
    if cell.mistake == "size_of_delete":    # always by the first thread
        return {"place": HERE_IS}
    return {}


# -- suites --

def abort(shop):
    """By default the report ends the process."""
    for cell, outcome in commit_all(shop, NOTICED, ""):
        expect_report(shop, cell, "", outcome, -signal.SIGABRT)
    rows = {cell.row for cell in NOTICED}
    shop.expect(rows == MESSAGES.keys() - {"size"},
                f"no cell for {MESSAGES.keys() - {'size'} - rows}")


# The way on after a report depends little on how the scene came about.
BRIEFLY = [cell for cell in NOTICED
           if cell.scene in ("own", "remote", *IN_HAND, *MIXED)
           or cell.mistake in ("twice", "inside", "link_is_garbage")]


def warn(shop):
    """After a warning the process goes on, and the heap works."""
    conf = "on_misuse:warn"
    for cell, outcome in commit_all(shop, BRIEFLY, conf):
        expect_report(shop, cell, conf, outcome, 0)


def ignore(shop):
    """Ignored, nothing is said, and the heap works."""
    conf = "on_misuse:ignore"
    for cell, outcome in commit_all(shop, BRIEFLY, conf):
        expect_silence(shop, cell, conf, outcome)


def hardening(shop):
    """All of that with hardening:1, and more."""
    conf = "hardening:1"
    for cell, outcome in commit_all(shop, NOTICED, conf):
        expect_report(shop, cell, conf, outcome, -signal.SIGABRT)
    for limit in LIMITS:
        for cell, outcome in commit_all(shop, limit_cells(limit), conf):
            if not isinstance(limit.hardened, str):
                expect_one_of(shop, cell, conf, outcome, limit.hardened)
                continue
            expect_report(shop, cell._replace(**as_hardened(cell)), conf,
                          outcome, -signal.SIGABRT)
    right = [*cells("", "size_right", ["own", "remote", "unowned"], BLOCKS),
             *cells("", "size_right", ["own", "remote"], LARGE)]
    for cell, outcome in commit_all(shop, right, conf):
        expect_silence(shop, cell, conf, outcome)


def limits(shop):
    """What is not noticed is in the documents, and behaves as they say."""
    text = (ROOT / "docs/LIMITS.md").read_text(encoding="utf-8")
    section = text.partition(SECTION + "\n")[2].partition("\n## ")[0]
    listed = {" ".join(words.split())
              for words in re.findall(r"^- \*\*(.+?)\*\*", section,
                                      re.MULTILINE | re.DOTALL)}
    known = {limit.words for limit in LIMITS}
    shop.expect(listed == known, "docs/LIMITS.md and run.py differ: only "
                f"there {sorted(listed - known)}, only here "
                f"{sorted(known - listed)}")
    for limit in LIMITS:
        for cell, outcome in commit_all(shop, limit_cells(limit), ""):
            expect_one_of(shop, cell, "", outcome, limit.then)


def line(shop):
    """The report does not depend on anybody to hear it."""
    cell = Cell("twice", "own", SMALL, "double_free", "free", HERE_IS)
    outcome = commit(shop, cell, "", MISUSE_DEAF="1")
    shop.expect(outcome.status == -signal.SIGABRT and told(outcome) == ""
                and outcome.packets == reports(cell, outcome.pointer),
                f"malloc_message NULL: {outcome}")
    command = [program_of(shop), cell.mistake, cell.scene, cell.bytes]
    for closed in ("2>&-", "2>/dev/full"):
        run = shop.run("sh", "-c", f'exec "$0" "$@" {closed}', *command,
                       preload=[shop.library])
        shop.expect(run.returncode == -signal.SIGABRT
                    and "said <ashlar>" in run.stdout,
                    f"{closed}: ended with {run.returncode}, {run.stdout!r}")


SUITES = {
    "abort": abort,
    "warn": warn,
    "ignore": ignore,
    "hardening": hardening,
    "limits": limits,
    "line": line,
}

if __name__ == "__main__":
    sys.exit(main(SUITES, PACKAGES, "misuse"))
