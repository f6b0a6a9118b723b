# SPDX-License-Identifier: MIT
"""allocator - who takes part, and where their libraries are."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

OURS = "ashlar"
TWIN = "twin"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")

# name, library ("": what the C library has), Debian package
PEERS = (
    ("glibc", "", "libc6"),
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    ("tbbmalloc", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
)


class AllocatorError(Exception):
    """An allocator that cannot take part; the text says why."""


@dataclass(frozen=True)
class Allocator:
    name: str
    path: str           # "" for glibc
    package: str = ""


def is_ours(name):
    """ashlar, and builds of it that are compared (ashlar-old=PATH)."""
    return name == OURS or name.startswith(OURS + "-")


def is_peer(name):
    return name != TWIN and not is_ours(name)


KNOWN = [OURS, *(row[0] for row in PEERS)]


def rank(name):
    """Of a place in the report: ours, the known peers, the others."""
    return (KNOWN.index(name) if name in KNOWN else len(KNOWN), name)


def line_up(build, added, chosen):
    """The allocators in their order.

    added are words "name=path", chosen the names that take part (empty: all).
    """
    field = {name: Allocator(name, str(LIBRARIES / file) if file else "",
                             package)
             for name, file, package in PEERS}
    field[OURS] = Allocator(OURS, str(Path(build).resolve() / "libashlar.so"))
    for word in added:
        name, equals, path = word.partition("=")
        if not name or not equals or name == TWIN:
            raise AllocatorError(f"--alloc {word}: write NAME=PATH, and not "
                                 f"the name {TWIN}")
        field[name] = Allocator(name, str(Path(path).resolve()))
    for name in chosen:
        if name not in field:
            raise AllocatorError(f"there is no allocator {name}; there are "
                                 + ", ".join(field))
    names = [name for name in field if not chosen or name in chosen]
    for name in names:
        check_loads(field[name])
    return [field[name] for name in names]


def check_loads(allocator):
    """The loader only warns of a library it cannot load, and goes on."""
    if not allocator.path:
        return
    path = Path(allocator.path)
    if not path.is_file():
        raise AllocatorError(
            f"{allocator.name}: there is no {path}; sh tools/setup.sh bench "
            "installs the peers, make builds Ashlar")
    variables = {"LD_PRELOAD": str(path), "PATH": "/usr/bin:/bin"}
    seen = subprocess.run(["cat", "/proc/self/maps"], text=True, check=False,
                          capture_output=True, env=variables)
    if str(path.resolve()) not in seen.stdout:
        raise AllocatorError(f"{allocator.name}: {path} was not loaded:\n"
                             + seen.stderr[-500:])
