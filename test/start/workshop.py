# SPDX-License-Identifier: MIT
"""workshop - what the suites of start/ and golden/ are made with.

A suite is a function of one `Workshop`, which knows the library under test,
compiles the programs beside the scripts and runs them. `expect` notes a
failure and goes on, so that one run tells all that is wrong; `skip` notes what
could not be tried here, visibly. main() ends with 0 when everything held, 1
when something did not, and 77 (ctest: skipped) when nothing could be tried.
"""
import argparse
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = 77
TIMEOUT_S = 25
PYTHON = "/usr/bin/python3"


class Workshop:
    def __init__(self, library, build, folder):
        self.library = Path(library).resolve()
        self.archive = Path(build).resolve() / "libashlar.a"
        self.build = Path(build).resolve()
        self.folder = self.build / "test" / folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.failures = []
        self.skipped = []
        self.checks = 0

    # -- verdicts --

    def expect(self, condition, text):
        self.checks += 1
        if not condition:
            self.failures.append(text)
            print(f"FAILED: {text}", flush=True)
        return bool(condition)

    def skip(self, reason):
        self.skipped.append(reason)
        print(f"SKIPPED: {reason}", flush=True)

    # -- programs --

    def compile(self, name, source, *flags, folder=HERE):
        """Compiles source, a file's name, to name in the build folder.

        Suites run beside each other and share programs, so the work is done
        under a lock and appears by rename.
        """
        target = self.folder / name
        source = Path(folder) / source
        newest = [source, HERE / "early.h"]
        newest += [Path(flag) for flag in map(str, flags)
                   if flag.endswith((".a", ".so"))]
        compiler = ["g++", "-std=c++17"]
        if source.suffix == ".c":
            compiler = ["gcc", "-std=gnu11"]
        command = [*compiler, "-O1", "-g", "-Wall", "-Wextra",
                   "-fno-builtin", "-pthread", str(source),
                   *map(str, flags), "-o"]
        with open(f"{target}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_current(target, newest):
                return target
            made = subprocess.run([*command, f"{target}.new"], text=True,
                                  capture_output=True, check=False)
            if made.returncode != 0 or made.stderr:
                print(" ".join(command), target)
                print(made.stderr[-3000:])
            if made.returncode != 0:
                raise SystemExit(f"FAILED: {source.name} does not compile")
            os.replace(f"{target}.new", target)
        return target

    def run(self, *command, preload=(), limit_kib=None, environment=None,
            **more):
        """Runs a command; what it said and how it ended are in the answer."""
        env = {name: value for name, value in os.environ.items()
               if name not in ("LD_PRELOAD", "MALLOC_CONF", "LD_DEBUG")}
        env["LC_ALL"] = "C.UTF-8"
        command = [str(word) for word in command]
        if preload:
            # Set for the command alone, not for helpers in front of it.
            libraries = ":".join(str(library) for library in preload)
            command = ["env", f"LD_PRELOAD={libraries}", *command]
        if limit_kib is not None:
            command = ["sh", "-c", 'ulimit -v "$0" && exec "$@"',
                       str(limit_kib), *command]
        env.update(environment or {})
        try:
            return subprocess.run(command, env=env, text=True, check=False,
                                  capture_output=True, timeout=TIMEOUT_S,
                                  errors="replace", **more)
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(
                command, 124, text_of(late.stdout), text_of(late.stderr))

    def expect_output(self, title, run, wanted, quiet=True):
        """It ended well, and said what it should."""
        said = run.stdout.strip()
        held = run.returncode == 0 and said == wanted
        if quiet:
            held = held and run.stderr == ""
        return self.expect(held, f"{title}: ended with {run.returncode}, said "
                           f"'{said[-300:]}' instead of '{wanted}'; on "
                           f"stderr: {run.stderr.strip()[-600:]}")

    def expect_served(self, *command):
        """The loader itself says which malloc the command gets."""
        run = self.run(*command, preload=[self.library],
                       environment={"LD_DEBUG": "bindings"})
        bound = re.findall(r"to (\S+) \[0\]: normal symbol `malloc'",
                           run.stderr)
        self.expect(str(self.library) in bound,
                    f"{command[0]} was not served by the library: {bound}")

    # -- files --

    def tool(self, *command):
        """The output of a tool that has to work."""
        return subprocess.run([str(word) for word in command], text=True,
                              check=True, capture_output=True,
                              env={**os.environ, "LC_ALL": "C"}).stdout

    def tls_bytes(self):
        """The size of the library's static thread-local data."""
        for line in self.tool("readelf", "-lW", self.library).splitlines():
            words = line.split()
            if words and words[0] == "TLS":
                return int(words[5], 16)
        return 0

    def symbols(self, file):
        """Name to address of what a file defines."""
        found = {}
        for line in self.tool("nm", "--defined-only", file).splitlines():
            words = line.split()
            if len(words) == 3:
                found[words[2]] = int(words[0], 16)
        return found


def is_current(target, sources):
    return target.exists() and all(
        target.stat().st_mtime > source.stat().st_mtime for source in sources)


def text_of(output):
    return output.decode(errors="replace") if output else ""


def main(suites, packages, folder):
    """The command line that test/CMakeLists.txt expects of a list script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true",
                        help="print the names of the suites")
    parser.add_argument("--packages", action="store_true",
                        help="print the Debian packages that are used")
    parser.add_argument("--suite", choices=sorted(suites),
                        help="the one to run; all of them otherwise")
    parser.add_argument("--lib", help="libashlar.so")
    parser.add_argument("--build", help="the build folder")
    options = parser.parse_args()
    if options.list:
        print("\n".join(suites))
        return 0
    if options.packages:
        print("\n".join(packages))
        return 0
    if not options.lib or not options.build:
        parser.error("--lib and --build are needed to run a suite")
    if not Path(options.lib).exists():
        parser.error(f"there is no {options.lib}")
    names = [options.suite] if options.suite else list(suites)
    return max(run_suite(name, suites[name], options, folder)
               for name in names)


def run_suite(name, suite, options, folder):
    workshop = Workshop(options.lib, options.build, folder)
    suite(workshop)
    if workshop.failures:
        print(f"{name}: {len(workshop.failures)} of {workshop.checks} "
              "expectations failed")
        return 1
    if workshop.checks == 0:
        return SKIPPED if workshop.skipped else 1
    note = f", {len(workshop.skipped)} skipped" if workshop.skipped else ""
    print(f"{name}: {workshop.checks} expectations held{note}")
    return 0


if __name__ == "__main__":
    sys.exit("workshop.py is used by run.py")
