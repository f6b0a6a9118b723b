# SPDX-License-Identifier: MIT
"""harness - runs one suite of programs twice and compares.

A suite is a function that drives programs through a `Side`. It is called
twice at the same time, in two threads and two folders: on the side "glibc"
programs keep the C library's malloc, on the side "library" the library under
test is preloaded. Whatever the function records (and every command it runs
records its output) must be equal on both sides.

Equality alone would also hold if the library were never loaded. So for every
program that a suite ran, the program is started once more with a trivial
argument under LD_DEBUG=bindings, and the dynamic loader itself must say that
the symbol malloc was bound to the library; the same question asked without
the preload must be answered no. Servers are also looked at while they run.
"""
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
INPUTS = HERE / "inputs"
PROGRAM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_S = 100           # of one command; it catches hangs, not slowness
SHOWN_BYTES = 1500        # of an output, in a failure message

# What a program is given so that it starts, allocates and ends by itself.
# Everything that is not listed understands --version.
TRIVIAL_ARGUMENTS = {
    "python3": ["-c", "pass"], "perl": ["-e", "1"], "ruby": ["-e", "1"],
    "lua5.4": ["-v"], "tclsh": ["/dev/null"], "php": ["-n", "-r", "1;"],
    "openssl": ["version"], "nginx": ["-v"], "mawk": ["BEGIN { x[1] = 2 }"],
    "bc": ["/dev/null"], "memcached": ["-V"],
}


class Failure(Exception):
    """What a suite reports when something is not as it must be."""


class Missing(Failure):
    """A program that is not installed."""


def base_environment(folder):
    """An environment in which programs have no reason to differ."""
    return {
        "PATH": PROGRAM_PATH, "HOME": str(folder), "TMPDIR": str(folder),
        "LC_ALL": "C", "TZ": "UTC", "TERM": "dumb",
        "SOURCE_DATE_EPOCH": "1000000000",
        "PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1",
        "PERL_HASH_SEED": "1", "PERL_PERTURB_KEYS": "0",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": "1000000000 +0000",
        "GIT_COMMITTER_DATE": "1000000000 +0000",
    }


def find_program(name):
    path = shutil.which(name, path=PROGRAM_PATH)
    if not path:
        raise Missing(f"{name}: not installed")
    return path


def excerpt(data, shown_bytes=SHOWN_BYTES):
    text = data.decode("utf-8", "backslashreplace")
    if len(text) <= shown_bytes:
        return text
    return text[:shown_bytes] + f"... ({len(data)} bytes)"


def require(condition, what, result=None):
    """Raises Failure, with what the process wrote, unless the condition
    holds."""
    if condition:
        return
    shown = ""
    if result is not None:
        shown = (f"\nstatus {result.returncode}\n{excerpt(result.stdout)}"
                 f"{excerpt(result.stderr)}")
    raise Failure(what + shown)


def ending_of(status):
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def start(command, folder, environment, **streams):
    """Starts a command in a session of its own, so that it can be ended
    together with whatever it has started."""
    program = str(command[0])
    if not program.startswith("./"):
        program = find_program(program)
    return subprocess.Popen(
        [program] + [str(word) for word in command[1:]],
        cwd=folder, env=environment, start_new_session=True, **streams)


def end_session(process):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def run_once(command, folder, environment, data=b"", timeout_s=TIMEOUT_S):
    """Runs to the end; returns (status, stdout, stderr)."""
    process = start(command, folder, environment, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(data, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        end_session(process)
        out, err = process.communicate()
        raise Failure(f"{command[0]}: not finished after {timeout_s} s\n"
                      + excerpt(err)) from None
    finally:
        end_session(process)
    return process.returncode, out, err


class Side:
    """One of the two runs of a suite."""

    def __init__(self, name, folder, shared, library):
        self.name = name
        self.folder = folder
        self.shared = shared
        self.library = library
        self.records = []
        self.programs = {}
        self.environment = base_environment(folder)
        if library:
            self.environment["LD_PRELOAD"] = str(library)
            if "MALLOC_CONF" in os.environ:
                self.environment["MALLOC_CONF"] = os.environ["MALLOC_CONF"]

    def run(self, command, *, data=b"", status=0, normalise=(), env=None,
            record=True, timeout_s=TIMEOUT_S):
        """Runs a command in this side's folder, requires its exit status,
        records what it wrote, and returns its standard output.

        normalise: pairs (pattern, replacement) for what may differ."""
        if isinstance(data, str):
            data = data.encode()
        self.note_program(command[0])
        got, out, err = run_once(command, self.folder,
                                 {**self.environment, **(env or {})}, data,
                                 timeout_s)
        shown = self.shorten(" ".join(str(word) for word in command))[:100]
        if got != status:
            raise Failure(f"{shown}: {ending_of(got)}, not {status}\n"
                          f"{excerpt(out[-SHOWN_BYTES:])}\n"
                          f"{excerpt(err[-SHOWN_BYTES:])}")
        if record:
            for stream, text in (("stdout", out), ("stderr", err)):
                for pattern, replacement in normalise:
                    text = re.sub(pattern.encode(), replacement.encode(),
                                  text)
                self.record(f"{stream} of {shown}", text)
        return out

    def shorten(self, text):
        """The same text on both sides, where it holds the side's folder."""
        return text.replace(str(self.folder), "FOLDER")

    def note_program(self, name, trivial=None):
        """Marks a program to be proved; run() does it by itself, so this is
        for what programs start themselves (gcc's cc1)."""
        short = os.path.basename(str(name))
        self.programs.setdefault(str(name), trivial or TRIVIAL_ARGUMENTS.get(
            short, ["--version"]))

    def record(self, what, value):
        """Notes a value that must be the same on the other side."""
        if isinstance(value, str):
            value = value.encode()
        self.records.append((what, value))

    def record_files(self, *patterns):
        """Notes the names and contents of files in the side's folder."""
        for pattern in patterns:
            found = sorted(p for p in self.folder.glob(pattern)
                           if p.is_file())
            if not found:
                raise Failure(f"no file matches {pattern}")
            for path in found:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                self.record(f"file {path.relative_to(self.folder)}", digest)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    @contextlib.contextmanager
    def server(self, command, ready, stop=signal.SIGTERM):
        """Runs a server until the block ends, then stops it by a signal and
        requires exit status 0. ready() says when it answers."""
        self.note_program(command[0])
        log_path = self.folder / (os.path.basename(command[0]) + ".log")
        with open(log_path, "wb") as log:
            process = start(command, self.folder, self.environment,
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait_until(ready, process, log_path)
            self.require_mapped(process.pid)
            yield process
            process.send_signal(stop)
            status = process.wait(timeout=30)
            if status != 0:
                raise Failure(f"{command[0]}: {ending_of(status)}\n"
                              + excerpt(log_path.read_bytes()))
        except subprocess.TimeoutExpired:
            raise Failure(f"{command[0]}: did not stop") from None
        except (Failure, OSError, ValueError) as error:
            # A client's complaint may only be the server's death seen from
            # outside; the log says more.
            raise Failure(f"{error}\n--- log of {command[0]}\n"
                          + excerpt(log_path.read_bytes(), 3 * SHOWN_BYTES)
                          ) from None
        finally:
            end_session(process)
            process.wait()

    @staticmethod
    def _wait_until(ready, process, log_path):
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                if ready():
                    return
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure("the server does not answer\n"
                              + excerpt(log_path.read_bytes()))
            time.sleep(0.02)

    def require_mapped(self, pid):
        """A running process has the library exactly on the library's side."""
        if not self.library:
            return
        maps = Path(f"/proc/{pid}/maps").read_text()
        if str(self.library.resolve()) not in maps:
            raise Failure(f"process {pid}: the library is not mapped")


# -- proof of loading --

def is_served(command, environment, library, folder="/"):
    """Whether the loader binds malloc to the library for this command."""
    with tempfile.TemporaryDirectory() as scratch:
        status, _, err = run_once(
            command, folder,
            {**environment, "LD_DEBUG": "bindings",
             "LD_DEBUG_OUTPUT": f"{scratch}/bindings"})
        if status != 0:
            raise Failure(f"{' '.join(map(str, command))}: "
                          f"{ending_of(status)}\n{excerpt(err)}")
        bound = set()
        for path in Path(scratch).glob("bindings.*"):
            bound.update(re.findall(
                r" to (\S+) \[0\]: normal symbol `malloc'",
                path.read_text(errors="replace")))
    return str(library) in bound


def prove(side, other):
    """Checks each program of the library's side, both ways."""
    for name, trivial in side.programs.items():
        command = [name] + trivial
        if not is_served(command, side.environment, side.library,
                         side.folder):
            raise Failure(f"{name}: the library was not loaded or does not "
                          "serve malloc")
        if is_served(command, other.environment, side.library,
                     other.folder):
            raise Failure(f"{name}: runs on the library even without the "
                          "preload; the comparison means nothing")


# -- one suite --

def first_difference(left, right):
    for (what, one), (label, two) in zip(left.records, right.records):
        if what != label:
            return f"different steps: {what} / {label}"
        if one != two:
            # From a little before the first byte that differs.
            common = len(os.path.commonprefix([one, two]))
            begin = max(0, common - 200)
            return (f"{what} differs at byte {common}\n"
                    f"--- {left.name}\n{excerpt(one[begin:])}\n"
                    f"--- {right.name}\n{excerpt(two[begin:])}")
    if len(left.records) != len(right.records):
        return "one side did more than the other"
    return None


def run_side(function, side, failures):
    try:
        function(side)
    except Exception as error:  # pylint: disable=broad-except
        # Whatever went wrong has to reach the main thread with its side.
        kind = "" if isinstance(error, Failure) else type(error).__name__ + " "
        failures[side.name] = f"on {side.name}: {kind}{error}"


def run_on_both(function, library, prepare=None):
    """Runs a suite; raises Failure; returns a line about what was done."""
    with tempfile.TemporaryDirectory(prefix="ashlar-programs-") as root:
        sides = []
        for name, loaded in (("glibc", None), ("library", library)):
            folder = Path(root) / name
            folder.mkdir()
            sides.append(Side(name, folder, Path(root) / "shared", loaded))
        sides[0].shared.mkdir()
        if prepare:
            prepare(sides[0].shared)
        failures = {}
        threads = [threading.Thread(target=run_side,
                                    args=(function, side, failures))
                   for side in sides]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise Failure("\n".join(failures.values()))
        glibc, loaded = sides
        if not loaded.records:
            raise Failure("nothing was recorded, so nothing was compared")
        difference = first_difference(glibc, loaded)
        if difference:
            raise Failure(difference)
        prove(loaded, glibc)
    size = sum(len(value) for _, value in loaded.records)
    return (f"{len(loaded.records)} outputs ({size} bytes) equal, "
            f"{len(loaded.programs)} programs proved")
