#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The suite that changes a setting of the whole machine while it runs.

Usage: as run.py. Nothing may run beside it: under strict overcommit the
sanitizers, which reserve terabytes, cannot start.

The setting is put back by a process of its own, which waits for this one to
end, however it ends; so a test that is killed leaves nothing behind.
"""
import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from run import PACKAGES
from workshop import PYTHON, main

SETTINGS = Path("/proc/sys/vm")
STRICT = 2
RATIO_PERCENT = 95
SPARE_KIB = 2 << 20              # for everybody else on the machine
GROWTH_KIB_MAX = 8 << 10         # of an idle program's commit charge


def overcommit(shop):
    idle = shop.compile("idle", "idle.c")
    with_library = charge_kib(shop, idle, [shop.library])
    without = charge_kib(shop, idle, [])
    expect_small_charge(shop, "by default", with_library - without)
    reason = why_not()
    if reason:
        shop.skip(f"strict overcommit: {reason}")
        return
    programs = {
        "plain": shop.compile("plain", "plain.c"),
        "early_static": shop.compile("early_static", "early_static.cpp"),
    }
    with strict_overcommit():
        mode = int((SETTINGS / "overcommit_memory").read_text())
        plain = shop.run(programs["plain"], preload=[shop.library])
        static = shop.run(programs["early_static"], preload=[shop.library])
        python = shop.run(PYTHON, "-c", "print(len('x' * 50_000_000))",
                          preload=[shop.library])
        with_library = charge_kib(shop, idle, [shop.library])
        without = charge_kib(shop, idle, [])
    shop.expect(mode == STRICT, "the setting did not hold")
    shop.expect_output("plain", plain, "done secure=0")
    shop.expect_output("early_static", static, "ok")
    shop.expect_output("python3", python, "50000000")
    expect_small_charge(shop, "under strict overcommit",
                        with_library - without)
    mode = int((SETTINGS / "overcommit_memory").read_text())
    shop.expect(mode != STRICT, "the setting was not put back")


def expect_small_charge(shop, when, growth_kib):
    print(f"an idle program's commit charge grows by {growth_kib} KiB {when}")
    shop.expect(growth_kib <= GROWTH_KIB_MAX,
                f"an idle program is charged {growth_kib} KiB more {when}")


def charge_kib(shop, program, preload):
    """What the program counts for in Committed_AS, while it idles.

    The sum over its own mappings that the kernel marks "ac", accountable;
    unlike Committed_AS itself it does not move with other processes.
    """
    env = {**os.environ, "LD_PRELOAD": ":".join(map(str, preload))}
    with subprocess.Popen([program], env=env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        ready = process.stdout.readline()
        maps = Path(f"/proc/{process.pid}/smaps").read_text(encoding="utf-8")
        process.stdin.close()
    shop.expect(ready == b"ready\n" and process.returncode == 0,
                f"idle ended with {process.returncode}")
    shop.expect(all(Path(library).name in maps for library in preload),
                "the library was not loaded")
    total = 0
    for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", maps):
        flags = re.search(r"^VmFlags:(.*)", mapping, re.MULTILINE)
        size = re.search(r"^Size: +(\d+) kB", mapping, re.MULTILINE)
        if flags and size and "ac" in flags[1].split():
            total += int(size[1])
    return total


def why_not():
    """A reason why the machine's setting cannot be tried, or nothing."""
    if os.geteuid() != 0:
        return "not root"
    if not os.access(SETTINGS / "overcommit_memory", os.W_OK):
        return "vm.overcommit_memory cannot be written here"
    if int((SETTINGS / "overcommit_memory").read_text()) == STRICT:
        return "it is set already"
    facts = dict(re.findall(r"^(\w+): +(\d+)",
                            Path("/proc/meminfo").read_text(), re.MULTILINE))
    limit = int(facts["MemTotal"]) * RATIO_PERCENT // 100
    if limit < int(facts["Committed_AS"]) + SPARE_KIB:
        return "the machine has promised too much memory already"
    return None


@contextlib.contextmanager
def strict_overcommit():
    names = ("overcommit_memory", "overcommit_ratio", "overcommit_kbytes")
    old = {name: (SETTINGS / name).read_text().strip() for name in names}
    # A ratio of 0 means that the kilobytes are set, and the reverse.
    size = "overcommit_kbytes" if old["overcommit_ratio"] == "0" \
        else "overcommit_ratio"
    restore = "; ".join(f"echo {old[name]} >{SETTINGS / name}"
                        for name in ("overcommit_memory", size))
    reader, writer = os.pipe()
    # setsid forks, so that no killer of our children finds the guard.
    subprocess.run(["setsid", "-f", "sh", "-c",
                    f"timeout 20 cat >/dev/null; {restore}"],
                   stdin=reader, check=True)
    os.close(reader)
    try:
        (SETTINGS / "overcommit_ratio").write_text(f"{RATIO_PERCENT}\n")
        (SETTINGS / "overcommit_memory").write_text(f"{STRICT}\n")
        yield
    finally:
        os.close(writer)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(
                (SETTINGS / name).read_text().strip() != old[name]
                for name in ("overcommit_memory", size)):
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main({"overcommit": overcommit}, PACKAGES, "start"))
