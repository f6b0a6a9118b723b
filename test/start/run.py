#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests that the library starts anywhere, and gets by where little is given.

Usage: run.py --list | --packages
       run.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

The programs beside this script say in their first comment what they try.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from workshop import HERE, PYTHON, main

PACKAGES = ["g++", "libc6-dev", "binutils", "python3", "strace", "coreutils"]

TLS_BYTES_MAX = 512          # of the surplus that dlopen can serve from
IDLE_SYSCALLS_MAX = 1        # that a preload may add where nobody allocates
OWN_SYSCALLS_MAX = 10        # and where somebody does
NOBODY = 65534
KEYS_MIN = 1000              # pthread keys that a process can take
KEYLESS_KIB_MAX = 64 << 10   # three threads of 4 MB each, many times over


# -- starting --

def preload_early(shop):
    """malloc from code that runs before main, and before other libraries."""
    start = shop.compile("early_start", "early_start.c")
    static = shop.compile("early_static", "early_static.cpp")
    other = shop.compile("early_library.so", "early_library.c",
                         "-shared", "-fPIC")
    interpose = shop.compile("interpose.so", "interpose.c",
                             "-shared", "-fPIC")
    shop.expect_served(start)
    orders = {
        "alone": [shop.library],
        "before another": [shop.library, other],
        "behind another": [other, shop.library],
        "before an interposer": [shop.library, interpose],
        "behind an interposer": [interpose, shop.library],
        "between both": [interpose, shop.library, other],
    }
    script = "import threading, zlib, json; print(json.dumps([1] * 3))"
    for order, preload in orders.items():
        shop.expect_output(f"early_start, {order}",
                           shop.run(start, preload=preload),
                           "ifunc preinit constructor main")
        shop.expect_output(f"early_static, {order}",
                           shop.run(static, preload=preload), "ok")
        shop.expect_output(f"python3, {order}",
                           shop.run(PYTHON, "-c", script, preload=preload),
                           "[1, 1, 1]")


def static_linking(shop):
    """C and C++ programs linked statically with the archive."""
    for mode in ("-static", "-static-pie"):
        served = shop.compile(f"static_served{mode}", "static_served.c",
                              shop.archive, mode)
        run = shop.run(served)
        symbols = shop.symbols(served)
        words = run.stdout.split()
        if shop.expect(run.returncode == 0 and len(words) >= 3,
                       f"static_served {mode}: {run.returncode} "
                       f"{run.stdout} {run.stderr}"):
            for name, distance in zip(("malloc", "ashlar_version"), words):
                wanted = symbols[name] - symbols["main"]
                shop.expect(int(distance) == wanted,
                            f"{mode}: {name} is not at its symbol's address")
        # libc's malloc is one object: any of it there means all of it.
        strangers = {"__libc_malloc", "_int_malloc"} & symbols.keys()
        shop.expect(not strangers,
                    f"{mode}: the program holds libc's malloc: {strangers}")
        for name, wanted in (("cxx", "ok"), ("cxx_replace", "ok"),
                             ("early_static", "ok")):
            program = shop.compile(f"{name}{mode}", f"{name}.cpp",
                                   shop.archive, mode)
            shop.expect_output(f"{name} {mode}", shop.run(program), wanted)
            shop.expect("ashlar_version" in shop.symbols(program),
                        f"{name} {mode}: the archive was not linked in")
        early = shop.compile(f"early_start{mode}", "early_start.c",
                             shop.archive, mode, "-DWITHOUT_IFUNC")
        shop.expect_output(f"early_start {mode}", shop.run(early),
                           "preinit constructor main")


def dlopen_ctypes(shop):
    """Opened late, by a Python with its own malloc and with many threads."""
    shop.expect(shop.tls_bytes() <= TLS_BYTES_MAX,
                f"static TLS is {shop.tls_bytes()} bytes, more than "
                f"{TLS_BYTES_MAX}: dlopen may refuse the library")
    script = HERE / "ctypes_use.py"
    shop.expect_output("ctypes_use",
                       shop.run(PYTHON, script, shop.library), "ok")
    user = shop.compile("tls_user.so", "tls_user.c", "-shared", "-fPIC")
    with tempfile.TemporaryDirectory() as folder:
        copies = [shutil.copy(user, Path(folder) / f"tls_user_{i}.so")
                  for i in range(40)]
        run = shop.run(PYTHON, script, shop.library, *copies)
        shop.expect_output("ctypes_use after 40 libraries", run, "ok")


def dlopen_dlclose(shop):
    program = shop.compile("reopen", "reopen.c")
    shop.expect_output("reopen", shop.run(program, shop.library), "ok")


# -- little given --

def setuid(shop):
    """A program with more rights than its caller ignores the environment."""
    if os.geteuid() != 0:
        shop.skip("not root: cannot make a setuid program")
        return
    program = shop.compile("plain-static", "plain.c", shop.archive,
                           "-static")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            shop.skip(f"{folder} is on a file system mounted nosuid")
            return
        common = shutil.copy(program, Path(folder) / "common")
        raised = shutil.copy(program, Path(folder) / "raised")
        os.chown(raised, 1, 1)
        os.chmod(common, 0o755)
        os.chmod(raised, 0o4755)
        for conf in ("stats_print:true", "no_such_key:1",
                     "abort_conf:true,no_such_key:1"):
            expect_ignored(shop, raised, common, conf)


def expect_ignored(shop, raised, common, conf):
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": [],
                 "environment": {"MALLOC_CONF": conf}, "cwd": "/"}
    shop.expect_output(f"setuid, {conf}", shop.run(raised, **as_nobody),
                       "done secure=1")
    run = shop.run(common, **as_nobody)
    shop.expect(run.stderr != "",
                f"not setuid, {conf}: nothing printed, so the test of the "
                "setuid program shows nothing")


def ulimit(shop):
    """Under a small address space: start, work, run out, recover."""
    exhaust = shop.compile("exhaust", "exhaust.c")
    cxx = shop.compile("early_static", "early_static.cpp")
    listing = shop.run("ls", "/").stdout.strip()
    script = "print(sum(len(str(i)) for i in range(100000)))"
    shop.expect_served("ls", "/")
    for limit_kib in (50_000, 100_000, 200_000, 500_000):
        title = f"under ulimit -v {limit_kib}"
        for command, wanted in ((["ls", "/"], listing), ([cxx], "ok"),
                                ([PYTHON, "-c", script], "488890")):
            # The stacks of its four threads alone need 40 MB.
            if command == [cxx] and limit_kib < 100_000:
                continue
            plain = shop.run(*command, limit_kib=limit_kib)
            if plain.returncode != 0:
                print(f"not tried {title}: {command[0]}, which libc's "
                      "malloc cannot serve there either")
                continue
            run = shop.run(*command, limit_kib=limit_kib,
                           preload=[shop.library])
            shop.expect_output(f"{command[0]} {title}", run, wanted)
        run = shop.run(exhaust, limit_kib, limit_kib=limit_kib,
                       preload=[shop.library])
        reached = [int(word) for word in run.stdout.split()]
        shop.expect(run.returncode == 0, f"exhaust {title}: ended with "
                    f"{run.returncode}: {run.stderr.strip()}")
        shop.expect(len(reached) == 6 and
                    min(reached) * 1024 >= limit_kib // 2,
                    f"exhaust {title}: reached {reached} MB, less than half")


def syscalls(shop):
    """What the preloaded library adds to the system calls of a program.

    /bin/true allocates nothing; idle allocates once.
    """
    if shutil.which("strace") is None:
        shop.skip("strace is not installed")
        return
    empty = shop.compile("empty.so", "empty.c", "-shared", "-fPIC",
                         "-Wl,-z,now", "-Wl,-z,relro")
    idle = shop.compile("idle", "idle.c")
    for program, most in (("/bin/true", IDLE_SYSCALLS_MAX),
                          (idle, OWN_SYSCALLS_MAX)):
        expect_few_syscalls(shop, program, empty, most)


def expect_few_syscalls(shop, program, empty, most):
    without = traced(shop, program, empty)
    calls = traced(shop, program, shop.library)
    shop.expect(without and calls, "strace showed no system calls")
    left = Counter(name for name, _ in without)
    added = []
    for name, line in calls:
        if left[name] > 0:
            left[name] -= 1
        else:
            added.append(name)
    spared = +left
    print(f"{program}: {len(calls)} calls, {len(without)} with an empty "
          f"library; added: {dict(Counter(added))}, spared: {dict(spared)}")
    # The loader's come first, so the last of each name are ours.
    ours = Counter(added)
    for name, line in reversed(calls):
        if ours[name] > 0:
            ours[name] -= 1
            print(f"    {line}")
    shop.expect(len(added) <= most,
                f"{program}: {len(added)} system calls of ours, more than "
                f"{most}")


def traced(shop, program, library):
    """(name, line) of each system call after the exec of the program."""
    log = shop.folder / f"{library.name}.strace"
    run = shop.run("strace", "-f", "-o", log, "-E", f"LD_PRELOAD={library}",
                   program, stdin=subprocess.DEVNULL)
    shop.expect(run.returncode == 0, f"strace: {run.stderr[-500:]}")
    if run.returncode != 0:
        return []
    lines = [re.sub(r"^\d+ +", "", line)
             for line in log.read_text(encoding="utf-8").splitlines()]
    found = [(re.match(r"(\w+)\(", line), line) for line in lines]
    return [(name[1], line) for name, line in found
            if name and name[1] != "execve"]


# -- errors --

def errors(shop):
    """Threads start and end in a process without a free pthread key."""
    program = shop.compile("keys", "keys.c")
    shop.expect_served(program, "late")
    for when in ("early", "late"):
        run = shop.run(program, when, preload=[shop.library])
        numbers = [int(word) for word in run.stdout.split()]
        if shop.expect(run.returncode == 0 and run.stderr == "" and
                       len(numbers) == 2 and numbers[0] >= KEYS_MIN,
                       f"keys taken {when}: ended with {run.returncode}, "
                       f"'{run.stdout.strip()}' '{run.stderr.strip()}'"):
            shop.expect(numbers[1] <= KEYLESS_KIB_MAX,
                        f"keys taken {when}: 400 threads, two at a time, "
                        f"left a peak of {numbers[1]} KiB")


# -- C++ --

def cxx(shop):
    """The operators, with a C++ runtime, with a late one and with none."""
    for name in ("cxx", "cxx_replace"):
        program = shop.compile(name, f"{name}.cpp")
        shop.expect_served(program)
        shop.expect_output(name, shop.run(program, preload=[shop.library]),
                           "ok")
    host = shop.compile("cxx_host", "cxx_host.c", "-ldl")
    plugin = shop.compile("cxx_plugin.so", "cxx_plugin.cpp",
                          "-shared", "-fPIC")
    run = shop.run(host, plugin, preload=[shop.library])
    shop.expect_output("cxx_plugin", run, "31")
    lonely = shop.compile("cxx_no_runtime", "cxx_no_runtime.c", "-ldl")
    run = shop.run(lonely, preload=[shop.library])
    shop.expect(run.returncode == -signal.SIGABRT and
                run.stdout.strip() == "quiet form gave up after some" and
                run.stderr.startswith("<ashlar>: ") and
                "operator new" in run.stderr,
                f"cxx_no_runtime: ended with {run.returncode}, "
                f"'{run.stdout.strip()}' '{run.stderr.strip()}'")


def needed(shop):
    """The library asks for libc alone, and for what keeps it safe."""
    dynamic = shop.tool("readelf", "-dW", shop.library)
    libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    shop.expect(libraries == ["libc.so.6"], f"NEEDED is {libraries}")
    names = re.findall(r"\(SONAME\).*\[(.*)\]", dynamic)
    shop.expect(names == ["libashlar.so.0"], f"SONAME is {names}")
    flags = " ".join(re.findall(r"\(FLAGS(?:_1)?\)(.*)", dynamic))
    for flag in ("NOW", "NODELETE", "STATIC_TLS"):
        shop.expect(flag in flags, f"the dynamic flags lack {flag}: {flags}")
    shop.expect("TEXTREL" not in dynamic, "there are text relocations")
    shop.expect("SYMBOLIC" not in dynamic,
                "symbolic binding: a program's own operators are not seen")


SUITES = {
    "preload-early": preload_early,
    "static": static_linking,
    "dlopen-ctypes": dlopen_ctypes,
    "dlopen-dlclose": dlopen_dlclose,
    "setuid": setuid,
    "ulimit": ulimit,
    "syscalls": syscalls,
    "errors": errors,
    "cxx": cxx,
    "needed": needed,
}

if __name__ == "__main__":
    sys.exit(main(SUITES, PACKAGES, "start"))
