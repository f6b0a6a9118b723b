# SPDX-License-Identifier: MIT
"""servers - redis, nginx and memcached, driven over unix sockets."""
import http.client
import os
import pwd
import random
import re
import signal
import socket
import time

from harness import Failure


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(path))
    return connection


# -- redis --

class Redis:
    """The few words of redis's protocol that a test needs."""

    def __init__(self, path):
        self.socket = connect(path)
        self.reader = self.socket.makefile("rb")

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def receive(self):
        line = self.reader.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Failure(f"redis: {rest.decode()}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.reader.read(length + 2)[:-2]
        if kind == b"*":
            return [self.receive() for _ in range(int(rest))]
        if kind != b"+":
            raise Failure(f"redis: unexpected answer {line!r}")
        return rest

    def call(self, *words):
        self.send(*words)
        return self.receive()


def redis_answers(path):
    client = Redis(path)
    try:
        return client.call("PING") == b"PONG"
    finally:
        client.close()


def fill_redis(client, seed, rounds):
    """Random writes, checked against a dictionary."""
    source = random.Random(seed)
    twin = {}
    for _ in range(rounds):
        words, expected = [], []
        for _ in range(100):
            key = f"key{source.randrange(6000)}"
            if source.randrange(3):
                twin[key] = source.randbytes(
                    source.choice([3, 40, 200, 1000, 5000, 70_000])
                    if source.randrange(40) == 0 else source.randrange(500))
                words.append(("SET", key, twin[key]))
            elif source.randrange(2):
                expected.append((len(words), key, twin.get(key)))
                words.append(("GET", key))
            else:
                twin.pop(key, None)
                words.append(("DEL", key))
        for command in words:
            client.send(*command)
        answers = [client.receive() for _ in words]
        for index, key, value in expected:
            if answers[index] != value:
                raise Failure(f"redis: wrong value of {key}")
    for key, value in twin.items():
        if client.call("GET", key) != value:
            raise Failure(f"redis: wrong value of {key} at the end")
    return len(twin)


def fill_structures(client, seed):
    source = random.Random(seed)
    for _ in range(8000):
        number = source.randrange(40)
        text = "v" * source.randrange(120) + str(source.randrange(10**6))
        client.call(*source.choice([
            ("LPUSH", f"list{number}", text),
            ("HSET", f"hash{number}", f"f{source.randrange(400)}", text),
            ("ZADD", f"sorted{number}", source.randrange(10**6), text),
            ("SADD", f"set{number}", text),
            ("APPEND", f"grown{number}", text),
            ("RPOP", f"list{number}"),
            ("XADD", f"stream{number}", "*", "f", text)]))
    for number in range(40):
        client.call("DEL", f"stream{number}")   # ids hold the time


def wait_for_save(client):
    deadline = time.monotonic() + 30
    while "rdb_bgsave_in_progress:1" in client.call(
            "INFO", "persistence").decode():
        if time.monotonic() > deadline:
            raise Failure("redis: the background save does not end")
        time.sleep(0.02)
    state = client.call("INFO", "persistence").decode()
    if "rdb_last_bgsave_status:ok" not in state:
        raise Failure("redis: the background save failed")


def redis_server(side, path, *options):
    return side.server(
        ["redis-server", "--port", "0", "--unixsocket", str(path), "--save",
         "", "--enable-debug-command", "yes", *options],
        lambda: redis_answers(path))


def redis(side):
    path = side.folder / "redis.sock"
    with redis_server(side, path, "--lazyfree-lazy-user-del", "yes"):
        client = Redis(path)
        side.record("keys", str(fill_redis(client, 4, 300)))
        fill_structures(client, 5)
        side.record("digest", client.call("DEBUG", "DIGEST"))
        side.record("script", str(client.call(
            "EVAL", "local t = {} for i = 1, 20000 do t[i] = i .. '' end "
            "return #table.concat(t)", "0")))
        client.call("BGSAVE")
        wait_for_save(client)
        side.record("size", str(client.call("DBSIZE")))
        client.call("DEBUG", "RELOAD")
        side.record("digest after loading", client.call("DEBUG", "DIGEST"))
        # Rates differ, so only the names of the tests are compared.
        side.run(["redis-benchmark", "-s", path, "-n", "8000", "-c", "4",
                  "-P", "8", "-d", "700", "-r", "5000", "--csv", "-t",
                  "set,get,lpush,lpop,sadd,hset,zadd,mset"],
                 normalise=[(r'"[0-9.]+"', "N")])
        side.run(["redis-cli", "-s", path, "FLUSHALL", "ASYNC"])
        side.record("empty", str(client.call("DBSIZE")))
        client.close()
    # Requests are read in one thread and freed in another; the threads
    # spin, so this is kept short.
    with redis_server(side, path, "--io-threads", "2",
                      "--io-threads-do-reads", "yes", "--dbfilename",
                      "none.rdb"):
        client = Redis(path)
        side.record("keys of threads", str(fill_redis(client, 6, 80)))
        client.close()


# -- nginx --

NGINX_CONFIGURATION = """
daemon off; master_process on; worker_processes 2;
user {user}; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type text/plain;
    client_body_temp_path tmp-body; proxy_temp_path tmp-proxy;
    fastcgi_temp_path tmp-f; uwsgi_temp_path tmp-u; scgi_temp_path tmp-s;
    gzip on; gzip_types text/plain; gzip_min_length 100;
    server {{ listen unix:web.sock; root www;
        location /proxied/ {{
            proxy_pass http://unix:{folder}/web.sock:/;
        }} }}
}}
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = connect(self.path)


def fetch_all(side, names, rounds):
    """Every file several times, plain, compressed and proxied, on kept
    connections; the body is recorded once for each way."""
    for way, prefix, headers in (
            ("plain", "/", {}), ("gzip", "/", {"Accept-Encoding": "gzip"}),
            ("proxied", "/proxied/", {}),
            ("part", "/", {"Range": "bytes=100-5000"})):
        connection = UnixConnection(side.folder / "web.sock")
        for turn in range(rounds):
            for name in names:
                connection.request("GET", prefix + name, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status not in (200, 206, 404, 416):
                    raise Failure(f"nginx: {name}: {answer.status}")
                if turn == 0:
                    side.record(f"{way} {name} {answer.status}", body)
        connection.close()


def children_of(process):
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(path, encoding="ascii") as file:
        return {int(word) for word in file.read().split()}


def reload(process):
    """Sends SIGHUP and waits until the old workers have gone."""
    old = children_of(process)
    process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while True:
        now = children_of(process)
        if now and not now & old:
            return
        if time.monotonic() > deadline:
            raise Failure("nginx: the old workers do not end")
        time.sleep(0.02)


def nginx(side):
    source = random.Random(12)
    names = ["missing"]
    for size in (0, 10, 1000, 5000, 40_000, 300_000, 2_000_000):
        names.append(f"file{size}")
        side.write(f"www/file{size}",
                   bytes(source.choices(b"abcdefgh \n", k=size)))
    user = pwd.getpwuid(os.getuid()).pw_name
    side.write("nginx.conf", NGINX_CONFIGURATION.format(
        user=user, folder=side.folder))

    def ready():
        connect(side.folder / "web.sock").close()
        return True

    command = ["nginx", "-p", str(side.folder), "-c", "nginx.conf", "-e",
               "error.log"]
    with side.server(command, ready, signal.SIGQUIT) as process:
        for _ in range(3):
            fetch_all(side, names, 10)
            reload(process)
            for worker in children_of(process):
                side.require_mapped(worker)
        fetch_all(side, names, 2)
    errors = (side.folder / "error.log").read_text()
    bad = re.findall(r".*(?:\[alert\]|\[crit\]|\[emerg\]|signal \d+ ).*",
                     errors)
    if bad:
        raise Failure("nginx: " + "\n".join(bad[:5]))


# -- memcached --

def memcached(side):
    """Four threads of a server, and eviction in a small memory."""
    path = side.folder / "m.sock"
    user = pwd.getpwuid(os.getuid()).pw_name

    def ready():
        connect(path).close()
        return True

    with side.server(["memcached", "-s", str(path), "-u", user, "-t", "4",
                      "-m", "64"], ready):
        clients = [connect(path) for _ in range(8)]
        files = [client.makefile("rwb") for client in clients]
        source = random.Random(15)
        twin = {}
        for turn in range(12_000):
            file = files[turn % len(files)]
            key = f"k{source.randrange(3000)}"
            if source.randrange(2):
                value = source.randbytes(source.randrange(4000))
                twin[key] = value
                file.write(b"set %s 0 0 %d\r\n%s\r\n"
                           % (key.encode(), len(value), value))
                file.flush()
                if file.readline() != b"STORED\r\n":
                    raise Failure(f"memcached: {key} was not stored")
            else:
                file.write(b"get %s\r\n" % key.encode())
                file.flush()
                value, line = None, file.readline()
                if line != b"END\r\n":
                    value = file.read(int(line.split()[3]) + 2)[:-2]
                    file.readline()
                if value != twin.get(key):
                    raise Failure(f"memcached: wrong value of {key}")
        side.record("keys", str(len(twin)))
        for file, client in zip(files, clients):
            file.close()
            client.close()
