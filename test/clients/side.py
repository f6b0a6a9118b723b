# SPDX-License-Identifier: MIT
"""side - one of a client's two runs: on Debian's libjemalloc.so.2, or on ours.

Nothing is preloaded: the program itself asks for libjemalloc.so.2, and finds
the one whose folder comes first in LD_LIBRARY_PATH. That it did is proved: of a
server by its map of memory, of a command by the loader's own list.
"""
import contextlib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "programs"))

from harness import (  # noqa: E402
    Failure, Side, end_session, ending_of, run_once, start)
from store import LIBRARIES, Unavailable  # noqa: E402

# Where packages keep libraries that are not in the system's list.
PRIVATE = ("", "/varnish")


class ClientSide(Side):
    def __init__(self, name, folder, library, store):
        super().__init__(name, folder, folder, None)
        self.library = Path(library)
        self.store = store
        self.ports = []
        libraries = [str(self.library.parent)]
        libraries += [f"{store.root}/{LIBRARIES}{sub}" for sub in PRIVATE]
        self.environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        self.environment["PATH"] = (f"{store.root}/usr/bin:"
                                    f"{store.root}/usr/sbin:"
                                    + self.environment["PATH"])

    def shorten(self, text):
        """Also without what differs: the packages' place, and ports."""
        text = text.replace(f"{self.store.root}/", "")
        for port in self.ports:
            text = re.sub(rf"\b{port}\b", "PORT", text)
        return super().shorten(text)

    def free_port(self):
        """A port that nobody has now. A server may yet find it taken: then it
        says so, and the test fails by that."""
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.ports.append(probe.getsockname()[1])
        return self.ports[-1]

    @contextlib.contextmanager
    def killed_server(self, name, *arguments, ready):
        """A server that knows no other end than to be killed."""
        command = [self.store.program(name), *arguments]
        self.note_program(command[0])
        process = start(command, self.folder, self.environment,
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        try:
            self.wait_for(ready, process, name)
            self.require_mapped(process.pid)
            yield process
            if process.poll() is not None:
                raise Failure(f"{name}: {ending_of(process.returncode)}")
        finally:
            end_session(process)
            process.wait()

    @staticmethod
    def wait_for(ready, process, name):
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if ready():
                    return
            time.sleep(0.02)
        raise Failure(f"{name} does not answer")

    def tool(self, name, *arguments, **more):
        """Runs a command of the packages; run() records what it writes."""
        return self.run([self.store.program(name), *arguments], **more)

    def server_of(self, name, *arguments, ready, **more):
        return self.server([self.store.program(name), *arguments], ready,
                           **more)

    def in_place(self, name, *arguments):
        """A command for a program that has its files' places built in: the
        packages are laid over /usr, seen by it alone."""
        usr = self.store.root / "usr"
        script = (f"mount -t overlay overlay -o lowerdir={usr}:/usr /usr && "
                  'exec "$@"')
        command = ["unshare", "-Urm", "sh", "-c", script, "sh"]
        status, _, err = run_once([*command, "true"], self.folder,
                                  self.environment)
        if status != 0:
            raise Unavailable("packages cannot be laid over /usr here: "
                              + err.decode(errors="replace").strip())
        program = self.store.program(name)
        self.note_program(program)
        return [*command, f"/{program.relative_to(self.store.root)}",
                *map(str, arguments)]

    def prove(self):
        """Each program that ran asks for the library, and gets this one."""
        for name in self.programs:
            if not str(name).startswith(str(self.store.root)):
                continue
            self.prove_program(name)

    def prove_program(self, name):
        _, listed, _ = run_once(
            [name], self.folder,
            {**self.environment, "LD_TRACE_LOADED_OBJECTS": "1"})
        found = re.findall(r"libjemalloc\.so\.2 => (\S+)", listed.decode())
        if found != [str(self.library)]:
            raise Failure(f"{name}: libjemalloc.so.2 is {found}, not "
                          f"{self.library}")


def answers_on(port):
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
