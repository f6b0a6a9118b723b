# SPDX-License-Identifier: MIT
"""profiling - what is run to compare heap profiling: parts of profiles.c and
option texts, and what is read out of the files that they write.

Each run has a folder of its own, which automatic names begin in. Where a run
writes JSON, its keys are compared; elsewhere the names of the files.
"""
import re
import tempfile
from pathlib import Path

from pair import lines_of, run_program
from report import json_pairs

# (part of profiles.c, options, the files that are JSON); the options prof and
# prof_prefix are added.
RUNS = [
    ("leaves", "", ""),
    ("leaves", "prof_active:false,prof_gdump:true,lg_prof_interval:30,"
     "prof_thread_active_init:false,lg_prof_sample:16,"
     "prof_recent_alloc_max:7", ""),
    ("leaves", "prof:false,prof_gdump:true,lg_prof_interval:30,"
     "lg_prof_sample:16", ""),
    ("arming", "prof:false", ""),
    ("threads", "prof_active:false", ""),
    ("threads", "prof_active:false,prof_sys_thread_name:true", ""),
    ("threads", "prof:false", ""),
    ("counts", "lg_prof_sample:0", ""),
    ("counts", "lg_prof_sample:0,prof_accum:true", ""),
    ("counts", "lg_prof_sample:0,prof_accum:true,prof_unbias:false", ""),
    ("sums", "lg_prof_sample:0,prof_stats:true", ""),
    ("sums", "lg_prof_sample:0", ""),
    ("hooks", "lg_prof_sample:0", ""),
    ("hooks", "prof:false", ""),
    ("automatic", "prof_gdump:true,lg_prof_interval:21", ""),
    ("automatic", "prof_gdump:true,lg_prof_interval:21,prof_active:false", ""),
    ("automatic", "prof_final:true", ""),
    ("logged", "lg_prof_sample:0", "log.json"),
    ("logged", "lg_prof_sample:0,prof_time_resolution:high", "log.json"),
    ("latest", "lg_prof_sample:0,prof_recent_alloc_max:100", "stderr"),
    ("leak", "lg_prof_sample:0,prof_leak:true,prof_final:true", ""),
    ("leak", "lg_prof_sample:0,prof_leak:true", ""),
    ("leak", "lg_prof_sample:0,prof:false,prof_leak:true,prof_final:true",
     ""),
    ("leak", "lg_prof_sample:0,prof_leak:true,prof_final:true,"
     "prof_leak_error:true", ""),
    ("leak", "lg_prof_sample:0,prof_leak_error:true", ""),
    ("leak", "lg_prof_sample:40,prof_leak:true,prof_final:true,prof_leak_error:true", ""),
]


def file_pairs(folder):
    """The kinds of names that there are, without their numbers."""
    for kind in sorted({re.sub(r"\d+", "#", path.name)
                        for path in folder.iterdir()}):
        yield f"file {kind}", "there"


def message_pairs(text, folder):
    for line in text.splitlines():
        line = line.replace(str(folder), "FOLDER")
        yield "message " + re.sub(r"\d+", "#", line), "said"


def run_pairs(program, library, run):
    part, options, written = run
    with tempfile.TemporaryDirectory(prefix="ashlar-profile-") as name:
        folder = Path(name)
        conf = f"prof:true,prof_prefix:{folder}/auto,{options}".rstrip(",")
        ran = run_program(program, library, part, folder, conf=conf)
        yield from lines_of(ran)
        yield from file_pairs(folder)
        if written == "stderr":
            yield from json_pairs("JSON ", ran.stderr)
            return
        yield from message_pairs(ran.stderr, folder)
        if written and (folder / written).exists():
            yield from json_pairs("JSON ", (folder / written).read_text())


# The leaves that are there, or not, by whether profiling is on.
NAMES = ("prof.", "thread.prof.", "experimental.prof_recent.",
         "experimental.hooks.prof")


def say_prof_names(program, library, text):
    """names.c, where profiling is on."""
    with tempfile.TemporaryDirectory(prefix="ashlar-profile-") as name:
        conf = f"prof:true,prof_active:false,prof_stats:true,prof_prefix:{name}/x"
        return lines_of(run_program(program, library, text=text, conf=conf))


def say_profiles(program, library, _):
    for run in RUNS:
        for what, result in run_pairs(program, library, run):
            yield f"{run[0]} {run[1]} | {what}", result
