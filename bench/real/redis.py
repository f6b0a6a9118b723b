#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""redis - one redis-server on the allocator in question, and its client.

    BENCH_PRELOAD=LIBRARY redis.py REQUESTS [EXPECTED]

REQUESTS holds batches as inputs.py writes them, and has beside it what stands
in for the jemalloc that redis is linked to (nojemalloc.c). Each batch is sent
at once, and answered before the next. EXPECTED holds the checksum that the
answers must have; without it, it is printed. The last line of the output has
the server's processor time and its peak memory, nothing of the client's. The
server cannot outlive this program.
"""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zlib

START_SECONDS_MAX = 10
ANSWER_SECONDS_MAX = 20
LOG_LINES = 12
STAND_IN = "libjemalloc.so.2"      # nojemalloc.c
MARK = b"*2\r\n$4\r\nECHO\r\n$8\r\nend-mark\r\n"     # ends each batch
MARK_ANSWER = b"$8\r\nend-mark\r\n"


def fail(text):
    raise SystemExit(f"redis.py: {text}")


class Server:
    """A redis-server that keeps nothing, on a socket in its own folder.

    stand_in is the folder with what stands in for libjemalloc.
    """

    def __init__(self, folder, stand_in):
        self.path = os.path.join(folder, "socket")
        self.log = os.path.join(folder, "log")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "redis-server",
             "--port", "0", "--unixsocket", self.path, "--dir", folder,
             "--save", "", "--appendonly", "no", "--logfile", self.log,
             "--jemalloc-bg-thread", "no"],
            env=dict(os.environ, LD_LIBRARY_PATH=stand_in,
                     LD_PRELOAD=os.environ.get("BENCH_PRELOAD", "")),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def connect(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                fail(f"redis-server did not start\n{self.last_words()}")
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER_SECONDS_MAX)
            try:
                connection.connect(self.path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.01)
        return fail(f"redis-server does not answer\n{self.last_words()}")

    def last_words(self):
        try:
            lines = read_text(self.log).splitlines()
        except OSError:
            return "(no log)"
        crashes = [at for at, line in enumerate(lines) if "BUG REPORT" in line]
        return "\n".join(lines[crashes[0] if crashes else 0:][:LOG_LINES])

    def peak_kb(self):
        status = read_text(f"/proc/{self.process.pid}/status")
        return int(re.search(r"VmHWM:\s*(\d+)", status).group(1))

    def stop(self):
        """End the server; return the seconds of processor time it took."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(ANSWER_SECONDS_MAX)
        if status != 0:
            fail(f"redis-server ended with {status}\n{self.last_words()}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime


def read_batches(path):
    """List (requests, their count, pause in ms) of the file."""
    found = []
    with open(path, "rb") as file:
        while head := file.readline():
            length, count, pause_ms = map(int, head.split())
            found.append((file.read(length), count, pause_ms))
    return found


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def exchange(connection, requests, total):
    """Send a batch; return the checksum of all answers so far."""
    connection.sendall(requests + MARK)
    tail = b""
    while not tail.endswith(MARK_ANSWER):
        answer = connection.recv(1 << 18)
        if not answer:
            raise ConnectionError("the server closed the connection")
        total = zlib.crc32(answer, total)
        tail = (tail + answer)[-len(MARK_ANSWER):]
    return total


def load(server, batches):
    """Send everything; return (count of requests, checksum of answers)."""
    connection = server.connect()
    done, total = 0, 0
    try:
        for requests, count, pause_ms in batches:
            total = exchange(connection, requests, total)
            done += count
            time.sleep(pause_ms / 1000)
    except OSError as error:
        time.sleep(0.2)     # let a crashing server write its last words
        fail(f"{error}\n{server.last_words()}")
    connection.close()
    return done, total


def run(batches, stand_in):
    """Return (the answers' checksum, the line of figures)."""
    folder = tempfile.mkdtemp(prefix="ashlar-redis-")
    server = Server(folder, stand_in)
    try:
        done, total = load(server, batches)
        peak_kb = server.peak_kb()
        seconds = server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return (f"{total:08x}\n",
            f"seconds={seconds:.4f} peak_kb={peak_kb} ops={done}")


def main():
    if len(sys.argv) not in (2, 3):
        fail("usage: redis.py REQUESTS [EXPECTED]")
    # an end from outside must pass through the finally of run()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    stand_in = os.path.dirname(os.path.abspath(sys.argv[1]))
    if not os.path.exists(os.path.join(stand_in, STAND_IN)):
        fail(f"there is no {STAND_IN} beside {sys.argv[1]}; prepare.py makes "
             "both")
    try:
        batches = read_batches(sys.argv[1])
        wanted = read_text(sys.argv[2]) if len(sys.argv) == 3 else None
    except (OSError, ValueError) as error:
        fail(error)
    total, figures = run(batches, stand_in)
    if wanted is None:
        print(total, end="")
    elif wanted == total:
        print(figures)
    else:
        fail(f"the answers are not those that {sys.argv[2]} stands for; "
             "if redis has changed, remove the folder")


if __name__ == "__main__":
    main()
