# SPDX-License-Identifier: MIT
"""process - one run: a fresh process, what it cost and what it said."""

import os
import re
import resource
import select
import shutil
import signal
import subprocess
from pathlib import Path

from runs import FAILED, OK, TIMEOUT, Run
from table import fill

TIMEOUT_S = 60
REASON_CHARACTERS = 1500
SECONDS_MIN = 1e-6          # below the clock of user and system time

# What a program may say of itself in its last line.
SAID = ("seconds", "peak_kb", "ops", "live_kb", "rss_kb")
LOADER_COMPLAINT = "cannot be preloaded"


class Workplace:
    """Where programs, inputs and results are; runs what is asked for."""

    def __init__(self, build, out, source):
        self.out = Path(out).resolve()
        build = Path(build).resolve()
        self.places = {
            "programs": build / "bench" / "programs",
            "launch": build / "bench" / "launch",
            "bench": source,
            "traces": source / "trace",
            "data": self.out / "data",
        }
        self.latency = build / "bench" / "liblatency.so"
        self.last = self.out / "last-run"
        self.scratch = self.last / "scratch"
        for folder in (self.places["data"], self.last):
            folder.mkdir(parents=True, exist_ok=True)
        # A crash is reported; its memory is not wanted.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def command_of(self, workload, quick):
        words = workload.quick if quick and workload.quick else workload.command
        return fill(words, self.places)

    def prepare(self, workload):
        """Makes the workload's input, once. What went wrong, or ''."""
        words = fill(workload.prepare, self.places)
        if not words or os.path.exists(words[-1]):
            return ""
        made = subprocess.run(words, env=environment(), text=True, check=False,
                              capture_output=True)
        if made.returncode == 0 and os.path.exists(words[-1]):
            return ""
        return (f"preparing by {' '.join(words)} ended with "
                f"{made.returncode}: {made.stderr[-REASON_CHARACTERS:]}")

    def run(self, workload, preload, quick=False, more=None):
        """One run with a preload ("": none); `more` adds to the environment.

        Returns a Run that knows nothing yet of repetition and allocator.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        variables = environment() | (more or {})
        if workload.preload == "self":
            variables["BENCH_PRELOAD"] = preload
            preload = ""
        report = self.last / "report"
        report.unlink(missing_ok=True)
        command = [self.places["launch"], report, preload,
                   *self.command_of(workload, quick)]
        status, out, err = self.wait_for(command, variables)
        run = Run(0, workload.group, workload.name, workload.threads, "")
        run.reason = self.judge(run, status, report, out, err)
        if run.reason and run.status == OK:
            run.status = FAILED
        return run

    def wait_for(self, command, variables):
        """The exit status, None if it took too long, and what was said.

        Files, not pipes: a stray child that keeps one open must not hold us.
        Nothing here wakes up before the end, so as not to disturb the run.
        """
        out, err = self.last / "stdout", self.last / "stderr"
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            process = subprocess.Popen(
                command, cwd=self.scratch, env=variables, stdout=out_file,
                stderr=err_file, stdin=subprocess.DEVNULL,
                start_new_session=True)
            try:
                status = wait(process)
            finally:
                kill_group(process)
        return (status, out.read_text(encoding="utf-8", errors="replace"),
                err.read_text(encoding="utf-8", errors="replace"))

    @staticmethod
    def judge(run, status, report, out, err):
        """Fills in the figures. What is wrong with the run, or ''."""
        said = err.strip()[-REASON_CHARACTERS:] or "(it said nothing)"
        if status is None:
            run.status = TIMEOUT
            return f"took more than {TIMEOUT_S} s; {said}"
        if status != 0:
            return f"ended with {status}: {said}"
        if LOADER_COMPLAINT in err:
            return said
        try:
            cost = figures_in(report.read_text(encoding="utf-8"))
            own = last_words(out)
        except (OSError, ValueError) as error:
            return f"its figures cannot be read: {error}"
        for key in ("wall", "user", "system", "minor", "major", "peak_kb"):
            setattr(run, key, cost[key])
        counted = run.wall if run.threads > 1 else run.user + run.system
        run.seconds = max(counted, SECONDS_MIN)
        for key, value in own.items():
            setattr(run, key, value)
        if run.seconds <= 0 or run.peak_kb <= 0:
            return f"says seconds={run.seconds} peak_kb={run.peak_kb}"
        return ""


def environment():
    """The same for every run, whatever the caller's shell has set."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/games",
            "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8",
            "PYTHONHASHSEED": "0"}


def wait(process):
    """Its exit status, or None after TIMEOUT_S; sleeps until then."""
    descriptor = os.pidfd_open(process.pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], TIMEOUT_S)
    finally:
        os.close(descriptor)
    return process.wait() if ended else None


def kill_group(process):
    """Whatever the run has left behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def figures_in(line):
    """{key: number} from `key=number ...`."""
    return {key: float(number) for key, _, number in
            (word.partition("=") for word in line.split())}


def last_words(out):
    """The figures of a last line that is `key=value ...`, else nothing."""
    lines = out.strip().splitlines()
    if not lines or not re.fullmatch(r"\s*(\w+=\S+\s*)+", lines[-1]):
        return {}
    wanted = [word for word in lines[-1].split()
              if word.partition("=")[0] in SAID]
    return figures_in(" ".join(wanted))
