#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run - real programs on the library, compared with a run without it.

    run.py --list                                   the suites' names
    run.py --packages                               what has to be installed
    run.py --suite NAME --lib PATH --build FOLDER   runs a suite

Exit status 0: both runs agree and the library is proved to have served; 1:
not so, with the reason on standard error; 2: bad usage. harness.py says how
a suite is run and proved.
"""
import argparse
import sys
import time
from pathlib import Path
from typing import Callable, NamedTuple, Optional

sys.dont_write_bytecode = True

import builds  # noqa: E402
import cli  # noqa: E402
import languages  # noqa: E402
import servers  # noqa: E402
import tools  # noqa: E402
from harness import Failure, Missing, run_on_both  # noqa: E402


class Suite(NamedTuple):
    """One row; prepare fills the folder that both sides read."""
    name: str
    packages: str
    function: Callable
    prepare: Optional[Callable] = None


# Programs of packages that every Debian has (coreutils, bash, tar, ...) are
# named all the same, so that the list stays true in a container.
PYTHON_PACKAGES = "python3 libpython3.11-testsuite"
SUITES = [
    Suite("python3-data", PYTHON_PACKAGES, languages.python3_data),
    Suite("python3-buffers", PYTHON_PACKAGES, languages.python3_buffers),
    Suite("python3-threads", PYTHON_PACKAGES, languages.python3_threads),
    Suite("python3-processes", PYTHON_PACKAGES, languages.python3_processes),
    Suite("python3-script", "python3", languages.python3_script),
    Suite("perl", "perl", languages.perl),
    Suite("ruby", "ruby", languages.ruby),
    Suite("lua", "lua5.4", languages.lua),
    Suite("tcl", "tcl", languages.tcl),
    Suite("php", "php-cli", languages.php),
    Suite("bash", "bash coreutils diffutils", languages.bash),
    Suite("sqlite3", "sqlite3", tools.sqlite3, tools.write_sql),
    Suite("sort", "coreutils", tools.sort, tools.write_text),
    Suite("filters", "gawk mawk sed grep coreutils jq bc m4", tools.filters,
          tools.write_text),
    Suite("archivers", "gzip bzip2 xz-utils zstd", tools.archivers,
          tools.write_text),
    Suite("tar", "tar gzip findutils diffutils coreutils", tools.tar,
          tools.write_text),
    Suite("openssl", "openssl", tools.openssl, tools.write_text),
    Suite("vim", "vim", tools.vim, tools.write_text),
    Suite("z3", "z3", tools.z3),
    Suite("gcc", "gcc libc6-dev", builds.compile_c, builds.write_c_source),
    Suite("g++", "g++", builds.compile_cpp),
    Suite("build-tools", "gcc make bison flex cmake", builds.build_tools),
    Suite("git", "git", builds.git, builds.prepare_repository),
    Suite("redis", "redis-server redis-tools", servers.redis),
    Suite("nginx", "nginx-light", servers.nginx),
    Suite("memcached", "memcached", servers.memcached),
    Suite("cli", "gcc libc6-dev", cli.run_tests),
]


def run_suite(suite, library, build):
    if suite.name == "cli":
        return suite.function(library, build)
    return run_on_both(suite.function, library, suite.prepare)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--suite", choices=[s.name for s in SUITES])
    parser.add_argument("--lib", type=Path)
    parser.add_argument("--build", type=Path)
    options = parser.parse_args()
    if options.list:
        print("\n".join(suite.name for suite in SUITES))
        return 0
    if options.packages:
        print("\n".join(sorted({package for suite in SUITES
                                for package in suite.packages.split()})))
        return 0
    if not (options.suite and options.lib and options.build):
        parser.error("--suite, --lib and --build belong together")
    suite = next(s for s in SUITES if s.name == options.suite)
    start = time.monotonic()
    try:
        if not options.lib.exists():
            raise Failure(f"{options.lib}: no such library")
        done = run_suite(suite, options.lib.resolve(),
                         options.build.resolve())
    except Missing as error:
        print(f"{suite.name}: FAILED: {error}; install: {suite.packages}",
              file=sys.stderr)
        return 1
    except Failure as error:
        print(f"{suite.name}: FAILED: {error}", file=sys.stderr)
        return 1
    print(f"{suite.name}: {done}, {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
