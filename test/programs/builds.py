# SPDX-License-Identifier: MIT
"""builds - compilers, build tools and git."""
import os
import random
import shutil
import subprocess

from harness import (Failure, HERE, INPUTS, TIMEOUT_S, base_environment,
                     run_once)

COMMITS_MIN = 20      # fewer would not exercise git; then one is generated
COMMITS_GENERATED = 60


def write_c_source(folder):
    """Many functions of random statements; the program prints a checksum."""
    source = random.Random(31)
    names = []
    with open(folder / "many.c", "w", encoding="ascii") as file:
        file.write("#include <stdio.h>\n#include <stdlib.h>\n"
                   "#include <string.h>\n"
                   "struct cell { unsigned a, b; struct cell *next; };\n")
        for number in range(120):
            names.append(f"f{number}")
            file.write(f"static unsigned f{number}(unsigned x)\n{{\n"
                       f"    unsigned t[{source.randrange(4, 40)}] = {{0}};\n"
                       "    unsigned n = sizeof t / sizeof *t;\n")
            for _ in range(source.randrange(3, 12)):
                file.write(
                    f"    for (unsigned i = 0; i < n; i++)\n"
                    f"        t[i] = t[(i * {source.randrange(1, 99)}u) % n]"
                    f" {source.choice('+^-')} x * {source.randrange(999)}u"
                    f" + (x >> {source.randrange(1, 31)});\n")
            file.write("    return t[x % n];\n}\n\n")
        calls = "\n".join(f"    x = x * 31u + {name}(x);" for name in names)
        file.write("int main(void)\n{\n    unsigned x = 1;\n"
                   f"{calls}\n    printf(\"%u\\n\", x);\n    return 0;\n}}\n")


def compile_c(side):
    shutil.copy(side.shared / "many.c", side.folder)
    side.note_program(side.run(["gcc", "-print-prog-name=cc1"],
                               record=False).decode().strip())
    side.note_program("as")
    for level in ("-O0", "-O2"):
        side.run(["gcc", level, "-g", f"-ffile-prefix-map={side.folder}=.",
                  "-c", "many.c", "-o", f"many{level}.o"])
    side.run(["gcc", "-O1", "-flto", "many.c", "-o", "many"])
    side.record_files("many-*.o")
    side.run(["./many"])


def compile_cpp(side):
    """The program itself then runs on both sides too: operator new, threads,
    exceptions and containers of a real libstdc++."""
    shutil.copy(INPUTS / "containers.cpp", side.folder)
    side.note_program(side.run(["g++", "-print-prog-name=cc1plus"],
                               record=False).decode().strip())
    side.run(["g++", "-std=c++17", "-O1", "-c", "containers.cpp", "-o",
              "containers.o"])
    side.record_files("containers.o")
    side.run(["g++", "-pthread", "containers.o", "-o", "containers"])
    side.run(["./containers"])


def build_tools(side):
    """flex and bison make a calculator, make and gcc build it, it runs; and
    cmake runs a script."""
    for name in ("calculator.y", "calculator.l"):
        shutil.copy(INPUTS / name, side.folder)
    side.write("Makefile", "calculator: y.tab.o lex.yy.o\n"
               "\tgcc -o $@ $^\n"
               "y.tab.c y.tab.h &: calculator.y\n\tbison -y -d $<\n"
               "lex.yy.c: calculator.l y.tab.h\n\tflex $<\n")
    side.note_program("flex")
    side.note_program("bison")
    side.run(["make", "-s", "-j2", "calculator"])
    side.record_files("y.tab.c", "lex.yy.c", "*.o")
    source = random.Random(8)
    terms = "".join(f"({source.randrange(99)} + {source.randrange(99)}) * "
                    for _ in range(900))
    side.run(["./calculator"], data=f"{terms}1\n" * 20)
    side.run(["cmake", "-P", INPUTS / "lists.cmake"])


# -- git --

def prepare_repository(folder):
    """One bare snapshot for both sides, so that work going on in the real
    repository cannot make them differ: the project's own repository, or a
    generated one where that has too few commits (a shallow clone)."""
    environment = base_environment(folder)
    target = str(folder / "source.git")
    project = HERE.parent.parent
    safe = ["-c", f"safe.directory={project}",
            "-c", f"safe.directory={project}/.git"]
    status, out, _ = run_once(["git"] + safe + ["rev-list", "--count",
                              "HEAD"], project, environment)
    if status == 0 and int(out) >= COMMITS_MIN:
        status, _, _ = run_once(
            ["git"] + safe + ["clone", "-q", "--mirror", "--no-local",
                              str(project), target], folder, environment)
        if status == 0:
            return
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", target],
                   env=environment, check=True)
    subprocess.run(["git", "-C", target, "fast-import", "--quiet"],
                   env=environment, input=generated_history(), check=True,
                   timeout=TIMEOUT_S)


def generated_history():
    source = random.Random(64)
    lines = []
    for number in range(COMMITS_GENERATED):
        lines += ["commit refs/heads/main",
                  f"committer A <a@example.org> {10**9 + number} +0000",
                  f"data {len(str(number))}", str(number)]
        for _ in range(6):
            text = "".join(f"{source.randrange(50)}\n"
                           for _ in range(source.randrange(2000)))
            lines += [f"M 644 inline d{source.randrange(4)}/"
                      f"file{source.randrange(12)}",
                      f"data {len(text)}", text]
    return ("\n".join(lines) + "\n").encode()


def git(side):
    origin = side.shared / "source.git"
    inside = ["git", "-C", "clone"]
    side.run(["git", "clone", "-q", "--no-local", "--no-hardlinks", origin,
              "clone"])
    commits = side.run(inside + ["rev-list", "--topo-order", "HEAD"]).split()
    if len(commits) < COMMITS_MIN:
        raise Failure(f"only {len(commits)} commits to work on")
    old, new = commits[-1].decode(), commits[0].decode()
    side.run(inside + ["log", "--stat", "-p", "-M", "-n", "150"])
    side.run(inside + ["log", "--graph", "--oneline", "--all"])
    side.run(inside + ["diff", "--patience", "-C", old, new])
    side.run(inside + ["grep", "-n", "-e", "[0-9][0-9]", new])
    path = side.run(inside + ["ls-files"]).split(b"\n")[0].decode()
    side.run(inside + ["blame", "--line-porcelain", path])
    side.run(inside + ["fsck", "--full", "--strict"])
    # One thread, because which deltas are found depends on their number
    # and on timing; then two, for the threads, and only fsck looks.
    side.run(inside + ["-c", "pack.threads=1", "repack", "-adfq"])
    side.run(inside + ["verify-pack", "-v"] + sorted(
        os.path.relpath(p, side.folder / "clone") for p in
        side.folder.glob("clone/.git/objects/pack/*.idx")))
    side.run(inside + ["-c", "pack.threads=2", "gc", "-q", "--aggressive",
                       "--prune=now"])
    side.run(inside + ["fsck", "--full"])
    side.run(inside + ["archive", "-o", "../all.tar", new])
    side.run(inside + ["reset", "-q", "--hard", old])
    side.run(inside + ["checkout", "-q", "-b", "side", new])
    side.run(inside + ["commit", "-q", "--allow-empty", "-m", "end"])
    side.run(inside + ["rev-parse", "HEAD"])
    side.record_files("all.tar")
