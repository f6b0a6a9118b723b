# SPDX-License-Identifier: MIT
"""webs - Varnish's cache, and nghttp2's server and clients."""
import contextlib
import functools
import http.server
import os
import random
import re
import socketserver
import threading

from harness import Failure
from servers import UnixConnection, connect
from side import answers_on
from store import LIBRARIES

SIZES = [0, 1, 100, 4000, 30_000, 200_000, 1_000_000]


@functools.lru_cache(maxsize=100)
def contents(name):
    """What a file of that name holds, whoever serves it."""
    size = SIZES[int(re.sub(r"\D", "", name) or 0) % len(SIZES)]
    return bytes(random.Random(name).choices(b"abcdefgh \n", k=size))


# -- varnish --

VCL = """vcl 4.1;
import std;
backend origin {{ .path = "{folder}/origin.sock"; }}
sub vcl_recv {{
    if (req.url == "/made") {{ return (synth(700, "made")); }}
    if (req.method == "PURGE") {{ return (purge); }}
    set req.url = std.tolower(req.url);
}}
sub vcl_synth {{ set resp.body = "made by the cache"; return (deliver); }}
sub vcl_backend_response {{ set beresp.ttl = 300s; }}
sub vcl_deliver {{
    if (obj.hits > 0) {{ set resp.http.X-From = "cache"; }}
    else {{ set resp.http.X-From = "origin"; }}
}}
"""


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        body = contents(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        """Says nothing."""


class OriginServer(socketserver.ThreadingMixIn,
                   socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def origin(path):
    server = OriginServer(str(path), Origin)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def fetch(side, connection, method, url, known):
    connection.request(method, url)
    answer = connection.getresponse()
    body = answer.read()
    if known is not None and body != known:
        raise Failure(f"varnish: {url}: {len(body)} bytes, not the origin's")
    side.record(f"{method} {url}", f"{answer.status} {answer.reason} "
                f"{answer.getheader('X-From')} {len(body)}")


def use_cache(side, path):
    connection = UnixConnection(path)
    fetch(side, connection, "GET", "/made", b"made by the cache")
    for turn in range(3):
        for number in range(60):
            url = f"/file{number}"
            fetch(side, connection, "GET", url, contents(url))
        if turn == 1:
            for number in range(0, 60, 7):
                fetch(side, connection, "PURGE", f"/file{number}", None)
    connection.close()


def children_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        # A thread may end while we look.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/children",
                      encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    return found


def varnish(side):
    """Objects in malloc storage, in a child that runs many threads and loads
    a library compiled from the configuration."""
    path = side.folder / "cache.sock"
    side.write("cache.vcl", VCL.format(folder=side.folder))
    modules = f"{side.store.root}/{LIBRARIES}/varnish/vmods"
    with origin(side.folder / "origin.sock"):
        with side.server_of(
                "varnishd", "-F", "-j", "none", "-n", side.folder / "work",
                "-f", side.folder / "cache.vcl", "-a", f"{path},mode=600",
                "-s", "malloc,64m", "-p", f"vmod_path={modules}",
                ready=lambda: connect(path).close() or True) as process:
            for child in children_of(process.pid):
                side.require_mapped(child)
            use_cache(side, path)


# -- nghttp2 --

def nghttp(side):
    port = side.free_port()
    for number in range(len(SIZES)):
        side.write(f"www/file{number}", contents(f"/file{number}"))
    with side.killed_server("nghttpd", "--no-tls", "-n", "2", "-d",
                            side.folder / "www", port,
                            ready=lambda: answers_on(port)):
        base = f"http://127.0.0.1:{port}"
        for number in range(len(SIZES)):
            body = side.tool("nghttp", f"{base}/file{number}")
            if body != contents(f"/file{number}"):
                raise Failure(f"nghttp: file{number} is not what was written")
        side.tool("nghttp", f"{base}/missing", record=False)
        said = side.tool("h2load", "-n", "2000", "-c", "8", "-m", "10",
                         *(f"{base}/file{number}" for number in range(5)),
                         record=False).decode()
        side.record("h2load", "\n".join(
            re.findall(r"^(?:requests|status codes): .*", said, re.M)))


def nghttpx(side):
    """A proxy with two workers: HTTP/2 at one side, and at the other."""
    port, behind = side.free_port(), side.free_port()
    for number in range(len(SIZES)):
        side.write(f"www/file{number}", contents(f"/file{number}"))
    with side.killed_server("nghttpd", "--no-tls", "-n", "2", "-d",
                            side.folder / "www", behind,
                            ready=lambda: answers_on(behind)):
        with side.killed_server(
                "nghttpx", "--conf=/dev/null", "--workers=2",
                "--single-process", "--no-ocsp",
                f"--frontend=127.0.0.1,{port};no-tls",
                f"--backend=127.0.0.1,{behind};;proto=h2",
                "--accesslog-file=/dev/null", ready=lambda: answers_on(port)):
            base = f"http://127.0.0.1:{port}"
            for number in range(len(SIZES)):
                body = side.tool("nghttp", f"{base}/file{number}")
                if body != contents(f"/file{number}"):
                    raise Failure(f"nghttpx: file{number} is not what was "
                                  "written")
            said = side.tool("h2load", "-n", "2000", "-c", "8", "-m", "10",
                             *(f"{base}/file{number}" for number in range(5)),
                             record=False).decode()
            side.record("h2load", "\n".join(
                re.findall(r"^(?:requests|status codes): .*", said, re.M)))
