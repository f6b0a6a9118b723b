# SPDX-License-Identifier: MIT
"""store - Debian's packages, fetched and unpacked without being installed.

The packages named, and what they need that this system lacks, are downloaded
by apt-get into a folder and unpacked beside it. A package that was fetched
before is not fetched again. Neither root nor the system's own packages are
touched.
"""
import re
import shutil
import subprocess
from pathlib import Path

LIBRARIES = "usr/lib/x86_64-linux-gnu"
TIMEOUT_S = 120


class Unavailable(Exception):
    """Packages that cannot be had here, and why."""


def run(*command, folder=None):
    try:
        return subprocess.run(command, cwd=folder, text=True, check=False,
                              capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]}: no answer after {TIMEOUT_S} s"
                          ) from None


class Store:
    def __init__(self, folder):
        self.packages = Path(folder) / "packages"
        self.root = Path(folder) / "root"
        for path in (self.packages, self.root):
            path.mkdir(parents=True, exist_ok=True)

    def needed(self, names):
        """The packages, and those that apt-get would install with them."""
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise Unavailable("this is not a Debian system")
        plan = run("apt-get", "install", "--simulate",
                   "--no-install-recommends", *names)
        if plan.returncode != 0:
            raise Unavailable(f"apt-get knows no way to {' '.join(names)}: "
                              + plan.stderr.strip()[-300:])
        found = re.findall(r"^Inst (\S+)", plan.stdout, re.MULTILINE)
        return sorted({*names, *found})

    def fetch(self, names):
        """Has all of it under self.root, or raises Unavailable."""
        stamp = self.packages / ("+".join(sorted(names)) + ".done")
        if stamp.exists():
            return
        for package in self.needed(names):
            done = self.packages / f"{package}.unpacked"
            if not done.exists():
                self.unpack(package)
                done.touch()
        stamp.touch()

    def unpack(self, package):
        for old in self.packages.glob(f"{package}_*.deb"):
            old.unlink()
        fetched = run("apt-get", "download", package, folder=self.packages)
        files = list(self.packages.glob(f"{package}_*.deb"))
        if fetched.returncode != 0 or len(files) != 1:
            raise Unavailable(f"apt-get cannot download {package}: "
                              + fetched.stderr.strip()[-300:])
        opened = run("dpkg-deb", "--extract", str(files[0]), str(self.root))
        if opened.returncode != 0:
            raise Unavailable(f"{files[0].name} cannot be unpacked: "
                              + opened.stderr.strip()[-300:])

    def program(self, name):
        for folder in ("usr/bin", "usr/sbin", "usr"):
            path = self.root / folder / name
            if path.exists():
                return path
        raise Unavailable(f"there is no {name} in the packages")
