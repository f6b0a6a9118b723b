# SPDX-License-Identifier: MIT
"""cli - tests of the command-line tool build/ashlar.

Each test runs the built tool on a small command and looks at the status, the
output and the environment. The tests that need no more than a shared library
use the given one; the report of --stats is the library's own.
"""
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import (Failure, base_environment, find_program, is_served,
                     require)

STATS_BEGIN = b"___ Begin jemalloc statistics ___"
STATS_END = b"--- End jemalloc statistics ---"


class Tool:
    """The tool, the library it is to find, and a scratch folder."""

    def __init__(self, program, library, folder):
        self.program = program
        self.library = library
        self.folder = folder
        self.environment = base_environment(folder)

    def run(self, *words, env=None, program=None):
        return subprocess.run(
            [str(program or self.program)] + [str(word) for word in words],
            env={**self.environment, **(env or {})}, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
            check=False)

    def run_on_library(self, *words, env=None):
        return self.run("run", "--lib", self.library, "--", *words, env=env)


def require_refusal(result, status, *texts):
    require(result.returncode == status, f"status is not {status}", result)
    require(result.stderr.startswith(b"ashlar: "),
            "the message does not begin with 'ashlar: '", result)
    require(result.stdout == b"", "wrote to standard output", result)
    for text in texts:
        require(str(text).encode() in result.stderr,
                f"the message does not say '{text}'", result)


# -- passing through --

def passes_exit_status(tool):
    for status in (0, 1, 42, 125, 255):
        result = tool.run_on_library("sh", "-c", f"exit {status}")
        require(result.returncode == status, f"status {status} lost", result)


def passes_signals(tool):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        result = tool.run_on_library("sh", "-c", f"kill -{int(number)} $$")
        require(result.returncode == -number, f"{number.name} lost", result)
    process = subprocess.Popen(
        [tool.program, "run", "--lib", tool.library, "--", "sleep", "60"],
        env=tool.environment)
    try:
        process.terminate()
        require(process.wait(timeout=20) == -signal.SIGTERM,
                "a signal to the tool does not reach the command")
    finally:
        process.kill()


def passes_arguments(tool):
    words = ["two words", "", "*", "--stats", "-x", "--", "new\nline", "$HOME"]
    result = tool.run_on_library("printf", "<%s>", *words)
    require(result.stdout.decode() == "".join(f"<{w}>" for w in words),
            "arguments changed", result)
    result = tool.run("run", "--lib", tool.library, "printf", "%s", "--stats")
    require(result.stdout == b"--stats",
            "an option after the command is the command's", result)


def passes_input_and_descriptors(tool):
    result = subprocess.run(
        [tool.program, "run", "--lib", tool.library, "--", "cat"],
        env=tool.environment, input=b"through", capture_output=True,
        timeout=60, check=False)
    require(result.stdout == b"through", "standard input lost", result)


def keeps_argument_zero(tool):
    result = tool.run_on_library("sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline")
    require(result.stdout.startswith(b"sh -c "), "argv[0] changed", result)


# -- the environment --

def puts_library_first(tool):
    result = tool.run_on_library("sh", "-c", "echo \"$LD_PRELOAD\"")
    require(result.stdout.decode() == f"{tool.library}\n",
            "LD_PRELOAD is not the library", result)
    other = find_other_library()
    result = tool.run_on_library("sh", "-c", "echo \"$LD_PRELOAD\"",
                                 env={"LD_PRELOAD": other})
    require(result.stdout.decode() == f"{tool.library}:{other}\n",
            "LD_PRELOAD was not kept behind the library", result)


def find_other_library():
    """Some shared library that does nothing when it is preloaded."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split()[-1]
        if os.path.basename(path).startswith(("libm.so", "libc.so")):
            return path
    raise Failure("no library to preload beside ours")


def library_serves(tool):
    command = [tool.program, "run", "--lib", tool.library, "--", "bash",
               "-c", "x=1"]
    require(is_served(command, tool.environment, tool.library),
            "the library does not serve the command")
    require(not is_served(["bash", "-c", "x=1"], tool.environment,
                          tool.library), "the proof is always true")


def adds_options(tool):
    show = ["--", "sh", "-c", "echo \"$MALLOC_CONF\""]
    options = ["run", "--lib", tool.library, "--conf", "on_misuse:warn",
               "-c", "dirty_decay_ms:100,abort_conf:false"]
    wanted = "on_misuse:warn,dirty_decay_ms:100,abort_conf:false\n"
    result = tool.run(*options, *show)
    require(result.stdout.decode() == wanted, "options not added", result)
    result = tool.run(*options, *show,
                      env={"MALLOC_CONF": "dirty_decay_ms:5"})
    require(result.stdout.decode() == "dirty_decay_ms:5," + wanted,
            "options not added behind the existing ones", result)
    require_refusal(tool.run("run", "--lib", tool.library, "--conf", "loud",
                             "--", "true"), 125, "loud", "KEY:VALUE")


def stats_prints_the_report(tool):
    """With a program of our own: those of coreutils close standard error
    before anything that runs at exit."""
    source = tool.folder / "speak.c"
    source.write_text("#include <stdio.h>\n#include <stdlib.h>\n"
                      "int main(void) { char *text = malloc(100);\n"
                      "puts(text ? \"spoken\" : \"no memory\");\n"
                      "free(text); return 3; }\n")
    subprocess.run([find_program("gcc"), "-o", tool.folder / "speak", source],
                   check=True, timeout=60)
    command = ["--lib", tool.library, "--", "./speak"]
    result = tool.run("run", "--stats", *command)
    plain = tool.run("run", *command)
    for one in (result, plain):
        require(one.returncode == 3 and one.stdout == b"spoken\n",
                "the command's status or output changed", one)
    for text in (STATS_BEGIN, STATS_END):
        require(result.stderr.count(text) == 1, f"no {text!r}", result)
    require(plain.stderr == b"", "a report without --stats", plain)


# -- finding the library --

def finds_library_beside_itself(tool):
    """The built tool, and copies of it in the two places of an install."""
    result = tool.run("run", "--", "sh", "-c", "echo \"$LD_PRELOAD\"")
    built = (tool.program.parent / "libashlar.so")
    require(result.stdout.decode() == f"{built.resolve()}\n",
            "the library beside the tool was not found", result)
    machine = os.uname().machine
    for place in ("lib", f"lib/{machine}-linux-gnu", "lib64"):
        for name in ("libashlar.so", "libashlar.so.0"):
            root = Path(tempfile.mkdtemp(dir=tool.folder))
            (root / "bin").mkdir()
            (root / place).mkdir(parents=True)
            shutil.copy(tool.program, root / "bin" / "ashlar")
            shutil.copy(tool.library, root / place / name)
            result = tool.run("run", "--", "sh", "-c",
                              "echo \"$LD_PRELOAD\"",
                              program=root / "bin" / "ashlar")
            require(result.stdout.decode() == f"{root / place / name}\n",
                    f"not found in {place} as {name}", result)


def names_every_place_tried(tool):
    root = Path(tempfile.mkdtemp(dir=tool.folder))
    alone = root / "bin" / "ashlar"
    alone.parent.mkdir()
    shutil.copy(tool.program, alone)
    machine = os.uname().machine
    require_refusal(tool.run("run", "--", "true", program=alone), 125,
                    f"{root}/bin/libashlar.so",
                    f"{root}/bin/../lib/libashlar.so",
                    f"{root}/bin/../lib/{machine}-linux-gnu/libashlar.so",
                    "--lib")
    require_refusal(tool.run("run", "--lib", "/nowhere/lib.so", "--", "true"),
                    125, "/nowhere/lib.so")
    require_refusal(tool.run("run", "--lib", "/etc/passwd", "--", "true"),
                    125, "/etc/passwd", "not a shared library")


def refuses_unspeakable_path(tool):
    for letter in (" ", ":"):
        folder = tool.folder / f"a{letter}b"
        folder.mkdir()
        shutil.copy(tool.library, folder / "lib.so")
        require_refusal(tool.run("run", "--lib", folder / "lib.so", "--",
                                 "true"), 125, "LD_PRELOAD")


# -- finding the command --

def not_found_is_127(tool):
    require_refusal(tool.run_on_library("no-such-command"), 127,
                    "no-such-command", "not found")
    require_refusal(tool.run_on_library("./nothing"), 127, "./nothing")
    require_refusal(tool.run_on_library(""), 127)
    write_script(tool, "orphan", "#!/no/such/interpreter\n")
    require_refusal(tool.run_on_library("./orphan"), 127,
                    "/no/such/interpreter")


def not_executable_is_126(tool):
    (tool.folder / "plain").write_text("text\n")
    require_refusal(tool.run_on_library("./plain"), 126, "./plain")
    require_refusal(tool.run_on_library(tool.folder), 126)


def searches_path(tool):
    write_script(tool, "found-here", "#!/bin/sh\necho \"here $1\"\n")
    for path in (f"/no:{tool.folder}", ":/no", "/no:", f"/no::{tool.folder}"):
        result = tool.run_on_library("found-here", "x", env={"PATH": path})
        require(result.stdout == b"here x\n", f"PATH={path}", result)
    (tool.folder / "shadow").mkdir()
    (tool.folder / "shadow" / "found-here").write_text("not executable\n")
    result = tool.run_on_library(
        "found-here", "x", env={"PATH": f"{tool.folder}/shadow:/no:."})
    require(result.stdout == b"here x\n", "a shadow hides the program",
            result)


def write_script(tool, name, text):
    path = tool.folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def runs_scripts(tool):
    write_script(tool, "bare", "echo \"bare $1\"\n")
    result = tool.run_on_library("./bare", "y")
    require(result.stdout == b"bare y\n", "a script without #!", result)
    write_script(tool, "first", "#!/bin/sh\necho \"first $1\"\n")
    write_script(tool, "second", f"#! {tool.folder}/first arg\n")
    result = tool.run_on_library("./second")
    require(result.stdout == b"first arg\n", "a script of a script", result)
    write_script(tool, "loop", f"#!{tool.folder}/loop\n")
    require_refusal(tool.run_on_library("./loop"), 126, "./loop")


# -- refusals --

def build_static(tool, name, *options):
    source = tool.folder / "static.c"
    source.write_text("int main(void) { return 7; }\n")
    path = tool.folder / name
    subprocess.run([find_program("gcc"), *options, "-o", path, source],
                   check=True, timeout=60)
    return path


def refuses_static(tool):
    for options in (["-static"], ["-static-pie"]):
        path = build_static(tool, "fixed", *options)
        require_refusal(tool.run_on_library("./fixed"), 125, "static")
        write_script(tool, "by-static", f"#!{path}\n")
        require_refusal(tool.run_on_library("./by-static"), 125, "static")
    build_static(tool, "moving")
    result = tool.run_on_library("./moving")
    require(result.returncode == 7, "a dynamic program was refused", result)


def refuses_privileged(tool):
    """As root a program of somebody else's is made setuid; otherwise there
    is passwd, which is root's."""
    if os.getuid() == 0:
        path = tool.folder / "raised"
        shutil.copy(find_program("true"), path)
        os.chown(path, 65534, 65534)
        for mode in (0o4755, 0o2755):
            path.chmod(mode)
            require_refusal(tool.run_on_library("./raised"), 125,
                            "privileges")
        path.chmod(0o755)
        result = tool.run_on_library("./raised")
        require(result.returncode == 0, "refused without reason", result)
    else:
        require_refusal(tool.run_on_library("/usr/bin/passwd"), 125,
                        "privileges")


def refuses_other_architecture(tool):
    """A program whose header names another machine; it is never started."""
    data = bytearray(Path(find_program("true")).resolve().read_bytes())
    data[18] ^= 0x55                                       # e_machine
    path = tool.folder / "foreign"
    path.write_bytes(data)
    path.chmod(0o755)
    require_refusal(tool.run_on_library("./foreign"), 125, "architecture")


# -- help --

def explains_itself(tool):
    for words in (["--help"], ["-h"], ["help"]):
        result = tool.run(*words)
        require(result.returncode == 0 and b"ashlar run" in result.stdout
                and result.stderr == b"", f"{words}", result)
    for words in (["run", "--help"], ["help", "run"], ["run", "-h"]):
        result = tool.run(*words)
        for text in (b"--stats", b"--conf", b"--lib", b"125", b"126", b"127"):
            require(result.returncode == 0 and text in result.stdout,
                    f"{words}: {text}", result)


def says_its_version(tool):
    header = Path(__file__).resolve().parents[2] / "include/ashlar/ashlar.h"
    wanted = [line.split('"')[1] for line in header.read_text().splitlines()
              if line.startswith("#define ASHLAR_VERSION_STRING")]
    result = tool.run("--version")
    require([result.stdout.decode()] == [f"ashlar {w}\n" for w in wanted],
            f"not the header's version {wanted}", result)


def rejects_bad_usage(tool):
    for words in ([], ["run"], ["run", "--"], ["--bad"], ["bad"],
                  ["run", "--bad", "--", "true"], ["run", "--conf"]):
        require_refusal(tool.run(*words), 125, "Try 'ashlar --help'")


def reports_a_full_disk(tool):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([tool.program, "--help"], stdout=full,
                                stderr=subprocess.PIPE, check=False)
    require(result.returncode == 125 and result.stderr,
            "unwritten help looks like success")


TESTS = [
    passes_exit_status, passes_signals, passes_arguments,
    passes_input_and_descriptors, keeps_argument_zero, puts_library_first,
    library_serves, adds_options, stats_prints_the_report,
    finds_library_beside_itself, names_every_place_tried,
    refuses_unspeakable_path, not_found_is_127, not_executable_is_126,
    searches_path, runs_scripts, refuses_static, refuses_privileged,
    refuses_other_architecture, explains_itself, says_its_version,
    rejects_bad_usage, reports_a_full_disk,
]


def run_tests(library, build):
    """Runs every test, reports all that fail; returns a line."""
    program = build / "ashlar"
    if not program.exists():
        raise Failure(f"{program}: not built")
    failures = []
    for test in TESTS:
        with tempfile.TemporaryDirectory(prefix="ashlar-cli-") as folder:
            # The command may look at its folder by another user's rights.
            os.chmod(folder, 0o755)
            try:
                test(Tool(program, library, Path(folder).resolve()))
            except (Failure, subprocess.SubprocessError) as error:
                failures.append(f"{test.__name__}: {error}")
    if failures:
        raise Failure("\n".join(failures))
    return f"{len(TESTS)} tests"
