# SPDX-License-Identifier: MIT
"""demo_redis - a redis-server on a unix socket, its client and its load."""

import csv
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time

ANSWER_SECONDS_MAX = 30     # a server silent for longer counts as hung
LOAD_SECONDS_MAX = 30       # one redis-benchmark, some 50 times the usual
CRASH_SECONDS_MAX = 5       # from a crash to the end of redis' report on it
LOG_LINES, LOG_COLUMNS = 14, 160    # quoted of a failed server's log
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None)


class DemoError(Exception):
    """A crash, a hang or a wrong answer; the text says whose."""


class Client:
    """The redis protocol over a unix socket, with pipelining."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS_MAX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb", buffering=1 << 18)

    def close(self):
        self.file.close()
        self.socket.close()

    def ask(self, *words):
        return self.ask_all([words])[0]

    def ask_all(self, commands):
        """Send all commands at once; return their replies in order."""
        parts, count = [], 0
        for words in commands:
            count += 1
            parts.append(b"*%d\r\n" % len(words))
            for word in words:
                if not isinstance(word, bytes):
                    word = str(word).encode()
                parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))
        return [self._reply() for _ in range(count)]

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self._body(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        if kind == b"+":
            return rest
        raise ValueError(f"the server answered {line[:200]!r}")

    def _body(self, length):
        body = self.file.read(length + 2)
        if len(body) != length + 2 or not body.endswith(b"\r\n"):
            raise ConnectionError("the server cut an answer short")
        return body[:-2]


class Server:
    """One redis-server on one allocator; memory figures by note()."""

    def __init__(self, name, library, folder):
        self.name = name
        self.library = library
        self.folder = os.path.join(folder, name)
        self.socket = os.path.join(self.folder, "socket")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.client = None
        self.timer = None
        self.served_by = None
        self.resident_mib = {}

    def start(self, program):
        os.mkdir(self.folder, 0o700)
        environment = plain_environment()
        environment["LD_PRELOAD"] = self.library
        command = [
            program, "--port", "0", "--unixsocket", self.socket,
            "--unixsocketperm", "700", "--dir", self.folder, "--save", "",
            "--appendonly", "no", "--activedefrag", "no",
            "--daemonize", "no", "--logfile", "",
            "--crash-memcheck-enabled", "no"]
        # libjemalloc stays linked in whatever serves; its helper thread is
        # redis' default, and of use only where jemalloc does serve.
        if self.name != "jemalloc":
            command += ["--jemalloc-bg-thread", "no"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent)
        self._connect()

    def _connect(self):
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                self.client = Client(self.socket)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.02)
        if self.client is None or self.ask("PING") != b"PONG":
            raise self.error("did not come up")

    def error(self, text):
        """A DemoError that names this server and quotes its log."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                lines = [line.rstrip()[:LOG_COLUMNS] for line in log]
        except OSError:
            lines = []
        lines = [line for line in lines if line]
        reports = [i for i, line in enumerate(lines) if "BUG REPORT" in line]
        start = reports[0] if reports else -LOG_LINES
        quoted = lines[start:][:LOG_LINES] or ["(empty)"]
        return DemoError("\n    | ".join(
            [f"redis-server on {self.name} {text}\n  from its log:"]
            + quoted))

    def check_alive(self):
        status = self.process.poll()
        if status is None:
            return
        if status < 0:
            raise self.error(f"was ended by {signal.Signals(-status).name}")
        raise self.error(f"ended by itself with status {status}")

    def lost(self, cause):
        """The DemoError for an exchange that failed because of cause."""
        try:
            self.process.wait(CRASH_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return self.error(f"failed to answer: {cause}")
        try:
            self.check_alive()
        except DemoError as error:
            return error
        return self.error(f"failed to answer: {cause}")

    def ask(self, *words):
        return self.ask_all([words])[0]

    def ask_all(self, commands):
        try:
            return self.client.ask_all(commands)
        except (OSError, ValueError) as cause:
            raise self.lost(cause) from cause

    def facts(self, section):
        """The fields of one section of INFO."""
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def keys(self):
        """The set of all keys."""
        found, cursor = set(), b"0"
        while True:
            cursor, some = self.ask("SCAN", cursor, "COUNT", 1000)
            found.update(some)
            if cursor == b"0":
                return found

    def load(self, count, keys_count, words):
        """Send count commands by redis-benchmark; return (rate, p99 ms)."""
        command = ["redis-benchmark", "-s", self.socket, "-c", "4",
                   "-P", "16", "-n", str(count), "-r", str(keys_count),
                   "--csv", *words]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=plain_environment(), preexec_fn=die_with_parent)
        try:
            output, errors = process.communicate(timeout=LOAD_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise self.lost(f"redis-benchmark {words[0]} took over "
                            f"{LOAD_SECONDS_MAX} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.check_alive()
        rows = list(csv.reader(output.splitlines()))
        if process.returncode != 0 or len(rows) < 2:
            raise self.lost(f"redis-benchmark {words[0]}: status "
                            f"{process.returncode}, {errors.strip()[-300:]}")
        row = dict(zip(rows[0], rows[-1]))
        return float(row["rps"]), float(row["p99_latency_ms"])

    def note(self, moment):
        """Note the resident memory now, and its highest so far."""
        fields = {}
        for file in ("status", "smaps_rollup"):
            path = f"/proc/{self.process.pid}/{file}"
            with open(path, encoding="ascii") as lines:
                for line in lines:
                    name, _, rest = line.partition(":")
                    fields[name] = rest.split()
        # smaps_rollup counts pages; status' VmRSS lags by some per thread.
        self.resident_mib[moment] = int(fields["Rss"][0]) / 1024
        self.resident_mib["peak"] = int(fields["VmHWM"][0]) / 1024

    def note_later(self, moment, seconds):
        self.timer = threading.Timer(seconds, self._note_if_alive, [moment])
        self.timer.daemon = True
        self.timer.start()

    def _note_if_alive(self, moment):
        try:
            self.note(moment)
        except (OSError, KeyError):
            pass                        # it ended; wait_noted() reports it

    def wait_noted(self, moment):
        self.timer.join()
        self.check_alive()
        if moment not in self.resident_mib:
            raise self.error(f"showed no memory figures {moment}")

    def stop(self):
        """End the server in good order; its last words must be clean."""
        try:
            self.client.ask("SHUTDOWN", "NOSAVE")
        except (OSError, ValueError):
            pass                        # the connection ends with the server
        try:
            status = self.process.wait(ANSWER_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise self.error("did not shut down") from None
        if status != 0:
            self.check_alive()

    def kill(self):
        """End the server whatever its state; may be called at any time."""
        if self.timer is not None:
            self.timer.cancel()
        if self.client is not None:
            self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def plain_environment():
    """The caller's, less every setting of an allocator or the linker."""
    return {key: value for key, value in os.environ.items()
            if not key.startswith(("LD_", "MALLOC_", "GLIBC_TUNABLES"))}


def die_with_parent():
    """In a child: be killed when the demo is, however it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
