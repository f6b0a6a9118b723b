# SPDX-License-Identifier: MIT
"""hostile - what hostile.c and crowd.c do to the profiler, and what has to be
in the profiles all the same."""
import readers
from jeprof import expect, read_heap, read_pprof
from truth import Judge, truth_of

# What the C library takes for a thread.
UNSAID_BYTES = 20 * 400


def stacks_of(path):
    return [line.split()[1:] for line in path.read_text().splitlines()
            if line.startswith("@")]


def judged(bench, program, mode, bits, conf="", says=""):
    """One run: every site that the program names has what it says."""
    path = bench.folder / f"{mode}.heap"
    sites = truth_of(bench.run(program, f"lg_prof_sample:{bits}{conf}", mode,
                               path, says=says))
    judge = Judge(1 << bits)
    reading = readers.report(bench.build, path)._replace(tool=mode)
    whole = sites.pop("all", None)
    judge.reading(reading, sites)
    judge.total(reading, {"all": whole} if whole else sites, UNSAID_BYTES)
    return path


def mode_suite(mode, conf="", bits=(0,), says=""):
    def suite(bench):
        for frames in (True, False):
            program = bench.linked("hostile", frames)
            for one in bits:
                judged(bench, program, mode, one, conf, says)
        return f"{2 * len(bits)} runs have what the program holds"
    return suite


def deep(bench):
    """A stack is as long as the option allows."""
    for frames in (True, False):
        program = bench.linked("hostile", frames)
        for longest in (1, 128, 1024):
            path = judged(bench, program, "deep", 0,
                          f",prof_bt_max:{longest}")
            lengths = {len(stack) for stack in stacks_of(path)}
            expect(max(lengths) == longest,
                   f"prof_bt_max:{longest}: stacks of {sorted(lengths)}")
    return "10,000 frames, of which 1, 128 and 1024 are kept"


def crowd(bench):
    program = bench.linked("crowd")
    folder = bench.folder / "profiles"
    folder.mkdir()
    sites = truth_of(bench.run(program, "lg_prof_sample:8", folder))
    paths = list(folder.iterdir())
    for path in paths:
        if path.name.endswith(".pb.gz"):
            read_pprof(path)
        else:
            read_heap(path)
    children = list(folder.glob("child*"))
    expect(len(paths) - len(children) == 201 and children,
           f"{len(paths)} files, {len(children)} of children")
    judge = Judge(1)
    reading = readers.report(bench.build, folder / "last.heap")
    judge.reading(reading, sites)
    judge.total(reading, sites, UNSAID_BYTES)
    return f"200 threads and {len(children)} children: {len(paths)} profiles"


def frames(bench):
    """What walks the stack says what the unwinder says."""
    said = []
    for framed in (True, False):
        program = bench.linked("frames", framed)
        # Stack frames of two sizes, in code of one size.
        plugins = [bench.linked("plugin", framed, f"plugin{room}.so",
                                "-shared", "-fPIC", f"-DROOM={room}")[0]
                   for room in (400, 800)]
        text = bench.run(program, "lg_prof_sample:0", *plugins)
        kinds = {name: (int(stacks), int(wrong)) for name, stacks, wrong in
                 map(str.split, text.splitlines())}
        for name, (stacks, wrong) in kinds.items():
            expect(wrong == 0, f"{name}: {wrong} of {stacks} are wrong")
        expect(kinds["calls"][0] > 10_000 and kinds["plugins"][0] >= 10_000,
               f"too little was done: {text!r}")
        said.append(f"{kinds['calls'][0]} + {kinds['plugins'][0]} (code "
                    f"replaced {kinds['again'][0]} times)")
    return "stacks as backtrace() has them: " + ", ".join(said)


SETTINGS = ["hardening:1,junk:true", "zero:true", "tcache:false",
            "percpu_arena:percpu", "background_thread:true,dirty_decay_ms:10",
            "prof_accum:true,prof_stats:true,prof_recent_alloc_max:-1,"
            "prof_gdump:true,lg_prof_interval:24,prof_prefix:x"]


def settings(bench):
    """What moves and ends is counted right whatever else the heap does."""
    program = bench.linked("hostile")
    for setting in SETTINGS:
        for mode in ("moves", "arenas", "heirs"):
            judged(bench, program, mode, 0, "," + setting)
    return f"{len(SETTINGS)} settings"


SUITES = {
    "deep": deep,
    "broken": mode_suite("broken"),
    "struck": mode_suite("struck"),
    "frames": frames,
    "fibers": mode_suite("fibers"),
    "heirs": mode_suite("heirs", bits=(0, 12)),
    "arenas": mode_suite("arenas", bits=(0, 12)),
    "moves": mode_suite("moves", bits=(0, 12)),
    "late": mode_suite("late", ",prof:false"),
    "narrow": mode_suite("narrow"),
    "closed": mode_suite("closed", says="<ashlar>: heap profile: closed.heap:"
                         " Too many open files\n"),
    "moves-settings": settings,
    "crowd": crowd,
}
