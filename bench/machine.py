# SPDX-License-Identifier: MIT
"""machine - where, when and with what was measured."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path


def describe(root, allocators):
    """{what: text}, in the order of the report."""
    return {
        "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "commit": commit_of(root),
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": memory(),
        "huge pages": huge_pages(),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "?"),
        "load at the start": "%.1f" % os.getloadavg()[0],
        **{name_of(one): version_of(one) for one in allocators},
    }


def said_by(*command):
    """The first thing a command says, or ''."""
    try:
        return subprocess.run(command, capture_output=True, text=True,
                              check=False).stdout.strip()
    except OSError:
        return ""


def commit_of(root):
    commit = said_by("git", "-C", str(root), "rev-parse", "--short=12", "HEAD")
    changed = said_by("git", "-C", str(root), "status", "--porcelain")
    return (commit or "?") + (" and changes" if changed else "")


def processor():
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: *(.+)", text, re.MULTILINE)
    return model[1] if model else platform.machine()


def memory():
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    total = re.search(r"^MemTotal: +(\d+) kB", text, re.MULTILINE)
    return f"{int(total[1]) / 2 ** 20:.1f} GiB"


def huge_pages():
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    try:
        chosen = re.search(r"\[(\w+)\]", setting.read_text(encoding="utf-8"))
        return chosen[1] if chosen else "?"
    except OSError:
        return "?"


def name_of(allocator):
    return f"allocator {allocator.name}"


def version_of(allocator):
    if not allocator.package:
        return allocator.path
    version = said_by("dpkg-query", "-W", "-f", "${Version}",
                      allocator.package)
    return f"{allocator.package} {version or '(not from a package)'}"
