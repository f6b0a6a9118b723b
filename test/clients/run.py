#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run - Debian's programs that link libjemalloc.so.2, on ours, unmodified.

    run.py --list | --packages
    run.py --build FOLDER [--client NAME ...] [--ours LIBRARY]

Each client is run twice with the same transaction, on Debian's library and on
the drop-in of the build, and its answers are compared. The programs' packages
are fetched by apt-get into FOLDER/clients and unpacked there, without root;
where that is not possible, the client is skipped, which is said. Exit status
0: all that could run agreed; 1: some did not; 77: none could run.
"""
import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, NamedTuple

sys.dont_write_bytecode = True

from side import ClientSide, Failure  # noqa: E402
from store import LIBRARIES, Store, Unavailable  # noqa: E402
import clusters  # noqa: E402
import databases  # noqa: E402
import resolvers  # noqa: E402
import solvers  # noqa: E402
import vtc  # noqa: E402
import webs  # noqa: E402
from harness import first_difference  # noqa: E402

SKIPPED = 77
DROP_IN = "jemalloc/libjemalloc.so.2"


class Client(NamedTuple):
    name: str
    packages: str
    function: Callable


CLIENTS = [
    Client("redis", "redis-server redis-tools", databases.redis),
    Client("redis-tools", "redis-server redis-tools", databases.redis_tools),
    Client("clickhouse",
           "clickhouse-server clickhouse-client clickhouse-tools",
           databases.clickhouse),
    Client("mariadb", "mariadb-server-core mariadb-client-core",
           databases.mariadb),
    Client("named", "bind9 bind9-utils bind9-dnsutils", resolvers.named),
    Client("named-tools", "bind9 bind9-utils bind9-dnsutils bind9-host",
           resolvers.named_tools),
    Client("dnssec", "bind9-utils bind9-dnsutils", resolvers.dnssec),
    Client("knot", "knot-resolver bind9-dnsutils", resolvers.knot),
    Client("varnish", "varnish", webs.varnish),
    Client("varnishtest", "varnish", vtc.varnishtest),
    Client("nghttp", "nghttp2-server nghttp2-client", webs.nghttp),
    Client("nghttpx", "nghttp2-proxy nghttp2-server nghttp2-client",
           webs.nghttpx),
    Client("toulbar2", "toulbar2", solvers.toulbar2),
    Client("rapmap", "rapmap", solvers.rapmap),
    Client("salmon", "salmon", solvers.salmon),
    Client("igor", "igor", solvers.igor),
    Client("konclude", "konclude", solvers.konclude),
    Client("blender", "blender", solvers.blender),
    Client("gridengine", "gridengine-master gridengine-client",
           clusters.gridengine),
]


def run_client(client, store, ours):
    """Raises Failure or Unavailable; a line about what was done."""
    store.fetch([*client.packages.split(), "libjemalloc2"])
    theirs = store.root / LIBRARIES / "libjemalloc.so.2"
    sides = []
    with tempfile.TemporaryDirectory(prefix="ashlar-clients-") as root:
        for name, library in (("theirs", theirs), ("ours", ours)):
            folder = Path(root) / name
            folder.mkdir()
            side = ClientSide(name, folder, library, store)
            try:
                client.function(side)
                side.prove()
            except (Failure, OSError, ValueError, LookupError) as error:
                raise Failure(f"on {name}: {error!r}"
                              if isinstance(error, LookupError)
                              else f"on {name}: {error}") from None
            sides.append(side)
    difference = first_difference(*sides)
    if difference:
        raise Failure(difference)
    if not sides[0].records or not sides[0].programs:
        raise Failure("nothing was recorded, so nothing was compared")
    size = sum(len(value) for _, value in sides[0].records)
    return (f"{len(sides[0].records)} answers ({size} bytes) equal, "
            f"{len(sides[0].programs)} programs proved")


def report(client, store, ours):
    """Prints how it went; whether it passed, None if it was skipped."""
    begin = time.monotonic()
    try:
        done = run_client(client, store, ours)
    except Unavailable as error:
        print(f"{client.name}: SKIPPED: {error}", flush=True)
        return None
    except Failure as error:
        print(f"{client.name}: FAILED: {error}", flush=True)
        return False
    print(f"{client.name}: {done}, {time.monotonic() - begin:.1f} s",
          flush=True)
    return True


def main():
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--client", action="append", choices=names)
    parser.add_argument("--build", type=Path)
    parser.add_argument("--ours", type=Path)
    options = parser.parse_args()
    if options.list or options.packages:
        print("\n".join(names if options.list else ["python3"]))
        return 0
    if not options.build:
        parser.error("--build is needed to run a client")
    ours = (options.ours or options.build / DROP_IN).resolve()
    if not ours.exists():
        parser.error(f"there is no {ours}")
    store = Store(options.build.resolve() / "clients")
    results = [report(client, store, ours) for client in CLIENTS
               if client.name in (options.client or names)]
    ran = [result for result in results if result is not None]
    print(f"clients: {sum(ran)} of {len(results)} agree, "
          f"{len(ran) - sum(ran)} do not, {len(results) - len(ran)} skipped")
    return SKIPPED if not ran else int(not all(ran))


if __name__ == "__main__":
    sys.exit(main())
