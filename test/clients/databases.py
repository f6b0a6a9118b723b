# SPDX-License-Identifier: MIT
"""databases - redis-server and clickhouse-server, and what they ask of jemalloc
beside memory."""
import concurrent.futures
import contextlib
import http.client
import re
import time
from pathlib import Path

from side import answers_on
from servers import (Failure, Redis, fill_redis, fill_structures,
                     redis_answers, wait_for_save)

# Of INFO memory: what comes from mallctl.
FROM_JEMALLOC = ["allocator_allocated", "allocator_active",
                 "allocator_resident", "mem_allocator"]


def info(client, section):
    lines = client.call("INFO", section).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def attempt(client, *words):
    """The answer, or the error's text."""
    try:
        return client.call(*words)
    except Failure as error:
        return str(error)


def check_memory(side, client, when):
    """The allocator's figures exist, are ordered, and fit Redis's own count."""
    memory = info(client, "memory")
    for key in FROM_JEMALLOC:
        if key not in memory:
            raise Failure(f"redis: INFO memory has no {key}")
    side.record(f"mem_allocator {when}", memory["mem_allocator"])
    allocated, active, resident = (
        int(memory[key]) for key in FROM_JEMALLOC[:3])
    used = int(memory["used_memory"])
    if not 0 < allocated <= active <= resident:
        raise Failure(f"redis: {when}: allocated {allocated}, active {active},"
                      f" resident {resident}")
    if not 0.7 * used < allocated < 1.5 * used + 4_000_000:
        raise Failure(f"redis: {when}: allocated {allocated}, but Redis "
                      f"counts {used}")
    side.record(f"keys of INFO memory {when}", " ".join(memory))


def memory_commands(side, client):
    stats = client.call("MEMORY", "STATS")
    names = [name.decode() for name in stats[::2]]
    side.record("keys of MEMORY STATS", " ".join(names))
    values = dict(zip(names, stats[1::2]))
    for name in names:
        if name.startswith("allocator.") and int(values[name]) <= 0:
            raise Failure(f"redis: MEMORY STATS {name} is {values[name]}")
    side.record("MEMORY DOCTOR", client.call("MEMORY", "DOCTOR"))
    report = client.call("MEMORY", "MALLOC-STATS").decode()
    for part in ("___ Begin jemalloc statistics ___", "Allocated: ",
                 "arenas[0]:", "bins:", "large:",
                 "--- End jemalloc statistics ---"):
        if part not in report:
            raise Failure(f"redis: MALLOC-STATS has no {part!r}")
    usage = int(client.call("MEMORY", "USAGE", "k"))
    if not 100 < usage < 300:
        raise Failure(f"redis: MEMORY USAGE of 100 bytes is {usage}")


def wait_for_resident(client, held, what):
    """Redis reads these figures ten times a second."""
    deadline = time.monotonic() + 5
    while True:
        seen = int(info(client, "memory")["allocator_resident"])
        if held(seen):
            return seen
        if time.monotonic() > deadline:
            raise Failure(f"redis: {what}: resident is {seen}")
        time.sleep(0.05)


def purge(client):
    """After most keys have gone, a purge brings memory back."""
    client.call("CONFIG", "SET", "jemalloc-bg-thread", "no")
    for turn in range(40):
        client.call("SET", f"big{turn}", b"x" * 1_000_000)
    full = wait_for_resident(client, lambda seen: seen > 50_000_000,
                             "40 MB more than there were")
    for turn in range(40):
        client.call("DEL", f"big{turn}")
    if client.call("MEMORY", "PURGE") != b"OK":
        raise Failure("redis: MEMORY PURGE is not OK")
    wait_for_resident(client, lambda seen: seen < full - 30_000_000,
                      f"40 MB freed and purged, before {full}")


def has_helper(process):
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        # A thread may end while we look.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (task / "comm").read_text(encoding="utf-8") \
                    == "jemalloc_bg_thd\n":
                return True
    return False


def expect_helper(process, wanted):
    """It has its name a moment after its start, and is listed for a moment
    after its end."""
    deadline = time.monotonic() + 5
    while has_helper(process) != wanted:
        if time.monotonic() > deadline:
            raise Failure("redis: the background thread is "
                          + ("missing" if wanted else "still there"))
        time.sleep(0.01)


def redis(side):
    path = side.folder / "redis.sock"
    with side.server_of(
            "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
            "--enable-debug-command", "yes", "--dir", side.folder,
            ready=lambda: redis_answers(path)) as process:
        client = Redis(path)
        expect_helper(process, True)
        side.record("SET", client.call("SET", "k", "v" * 100))
        side.record("GET", client.call("GET", "k"))
        side.record("live keys", str(fill_redis(client, 21, 60)))
        fill_structures(client, 22)
        check_memory(side, client, "when full")
        memory_commands(side, client)
        purge(client)
        expect_helper(process, False)
        for words in (("CONFIG", "SET", "jemalloc-bg-thread", "yes"),
                      ("CONFIG", "GET", "jemalloc-bg-thread"),
                      ("CONFIG", "SET", "activedefrag", "yes"),
                      ("DEBUG", "RELOAD"), ("DEBUG", "DIGEST"),
                      ("DEBUG", "JMAP"), ("DEBUG", "MALLCTL", "arenas.page"),
                      ("DEBUG", "MALLCTL", "opt.abort"),
                      ("DEBUG", "MALLCTL", "no.such"),
                      ("DEBUG", "MALLCTL-STR", "opt.zero_realloc")):
            side.record(" ".join(words), repr(attempt(client, *words)))
        expect_helper(process, True)
        client.call("BGSAVE")
        wait_for_save(client)
        client.call("FLUSHALL")
        check_memory(side, client, "when empty")
        client.close()


# -- Redis's tools --

def commands(count):
    """As clients send them, for redis-cli --pipe."""
    for number in range(count):
        words = ("SET", f"key{number}", "v" * (number % 700))
        yield f"*{len(words)}\r\n" + "".join(
            f"${len(word)}\r\n{word}\r\n" for word in words)


def redis_tools(side):
    """The command line, the benchmark, and those that look at its files."""
    path = side.folder / "redis.sock"
    with side.server_of(
            "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
            "--appendonly", "yes", "--dir", side.folder,
            ready=lambda: redis_answers(path)):
        def cli(*words, **more):
            return side.tool("redis-cli", "-s", path, *words, **more)
        cli("--pipe", data="".join(commands(30_000)))
        for words in (("DBSIZE",), ("GET", "key77"), ("STRLEN", "key699"),
                      ("--json", "HELLO", "3"), ("EVAL", "return #KEYS", "0")):
            cli(*words, record=words[0] != "--json")
        scanned = cli("--scan", "--pattern", "key1234*", record=False)
        side.record("scanned", b"\n".join(sorted(scanned.split())))
        big = cli("--bigkeys", record=False).decode()
        side.record("bigkeys", "\n".join(
            re.findall(r"Sampled \d+.*|\d+ strings with .*", big)))
        said = side.tool(
            "redis-benchmark", "-s", path, "-n", "4000", "-c", "20", "-P", "4",
            "-r", "500", "-q", "-t", "set,get,lpush,lrange_100,mset",
            record=False).decode()
        side.record("benchmarks", "\n".join(re.findall(
            r"([A-Z_]+[ \w()]*): \d+\.\d+ requests", said)))
        cli("--rdb", side.folder / "copy.rdb", record=False)
        cli("CONFIG", "SET", "appendfsync", "always")
    side.tool("redis-check-rdb", "copy.rdb", record=False)
    for manifest in side.folder.glob("appendonlydir/*.manifest"):
        side.tool("redis-check-aof", manifest, normalise=[(r"\d+", "N")])


# -- MariaDB --

STATEMENTS = [
    "CREATE DATABASE d",
    "CREATE TABLE d.t (k INT PRIMARY KEY, s TEXT, b BLOB, KEY (s(20)))",
    "INSERT INTO d.t SELECT seq, REPEAT(CHAR(97 + seq % 26), seq % 300), "
    "SHA2(seq, 512) FROM d.seq_1_to_20000",
    "SELECT COUNT(*), SUM(LENGTH(s)), MIN(b), MAX(b) FROM d.t",
    "SELECT k, LEFT(s, 5) FROM d.t ORDER BY LENGTH(s) DESC, b LIMIT 20",
    "SELECT LEFT(s, 1) AS c, COUNT(*), AVG(k) FROM d.t GROUP BY c ORDER BY c",
    "SELECT COUNT(*) FROM d.t AS x JOIN d.t AS y ON x.k = y.k + 7 "
    "WHERE x.s <> y.s",
    "SELECT LENGTH(GROUP_CONCAT(b ORDER BY k)) FROM d.t",
    "UPDATE d.t SET s = CONCAT(s, s) WHERE k % 3 = 0",
    "ALTER TABLE d.t ADD COLUMN n INT DEFAULT 7, DROP KEY s",
    "SELECT CRC32(GROUP_CONCAT(s, n ORDER BY k)) FROM d.t WHERE k < 500",
    "CHECK TABLE d.t",
]


def mariadb(side):
    """It is not linked to jemalloc, but is started with it preloaded, and
    asks which one it is."""
    share = side.store.root / "usr/share/mysql"
    (side.folder / "data").mkdir()

    def ask(statement, **more):
        return side.run(
            ["env", side.store.program("mariadb"), "--no-defaults", "-S", "my.sock",
             "--skip-column-names", "-e", statement], **more)

    server = ["env", f"LD_PRELOAD={side.library}",
              side.store.program("mariadbd"), "--no-defaults", "--user=root",
              "--skip-networking", "--skip-grant-tables",
              f"--datadir={side.folder}/data",
              f"--socket={side.folder}/my.sock",
              f"--lc-messages-dir={share}/english",
              f"--character-sets-dir={share}/charsets",
              "--innodb-buffer-pool-size=32M", "--group-concat-max-len=9999999"]
    with side.server(server, (side.folder / "my.sock").exists):
        library = ask("SELECT @@version_malloc_library", record=False)
        if not library.startswith(b"jemalloc 5.3."):
            raise Failure(f"mariadb: its malloc is {library!r}")
        for statement in STATEMENTS:
            ask(statement)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sums = list(pool.map(lambda number: ask(
                f"SELECT {number}, SUM(CRC32(s)) FROM d.t WHERE k % 8 = "
                f"{number} ORDER BY RAND()", record=False), range(8)))
        side.record("sums", b"".join(sums))


# -- ClickHouse --

CLICKHOUSE = """<yandex>
<logger><level>warning</level><log>{folder}/server.log</log>
<errorlog>{folder}/error.log</errorlog></logger>
<http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>
<listen_host>127.0.0.1</listen_host>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
<users_config>users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database>
<mark_cache_size>10000000</mark_cache_size>
</yandex>
"""
CLICKHOUSE_USERS = """<yandex>
<profiles><default><max_memory_usage>2000000000</max_memory_usage>
<max_threads>4</max_threads></default></profiles>
<users><default><password></password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota></default></users>
<quotas><default></default></quotas>
</yandex>
"""
QUERIES = [
    "SELECT 1",
    "CREATE TABLE t (d Date, k UInt32, s String) "
    "ENGINE = MergeTree(d, k, 8192)",
    "INSERT INTO t SELECT toDate('2020-01-01') + number % 90, "
    "number * 7919 % 100003, substring('"
    + "x" * 40 + "', 1, number % 40) "
    "FROM system.numbers LIMIT 400000",
    "SELECT count(), sum(k), sum(length(s)) FROM t",
    "SELECT k % 97 AS m, count(), uniqExact(s), max(s) FROM t "
    "GROUP BY m ORDER BY m",
    "SELECT s, count() FROM t WHERE k < 5000 GROUP BY s ORDER BY s",
    "SELECT k, s FROM t ORDER BY k DESC, s, d LIMIT 50",
    "SELECT count() FROM (SELECT k FROM t) ANY INNER JOIN "
    "(SELECT k, s FROM t WHERE k % 3 = 0) USING k",
    "OPTIMIZE TABLE t",
    "SELECT arraySort(groupArray(s))[100] FROM t",
    "DROP TABLE t",
]


def ask_clickhouse(port, query):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/", query)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise Failure(f"clickhouse: {query}: {body[:300]!r}")
    return body


def clickhouse_alone(side):
    """Its tools that need no server."""
    text = "".join(f"line {number % 1000} {'y' * (number % 50)}\n"
                   for number in range(100_000))
    packed = side.tool("clickhouse-compressor", data=text, record=False)
    side.record("packed", packed)
    unpacked = side.tool("clickhouse-compressor", "--decompress", data=packed,
                         record=False)
    if unpacked.decode() != text:
        raise Failure("clickhouse-compressor unpacks something else")
    side.tool("clickhouse-format", data="select a,count() from(select number%"
              "3 as a from system.numbers limit 10)group by a order by a desc")


def clickhouse_beside(side, port):
    """Its client, which sends what it is given in blocks, and its benchmark."""
    def client(query, **more):
        return side.tool("clickhouse-client", "--host", "127.0.0.1", "--port",
                         port, "--query", query, **more)
    client("CREATE TABLE u (k UInt64, s String) ENGINE = Memory")
    client("INSERT INTO u FORMAT TabSeparated", data="".join(
        f"{number}\ttext{number * number}\n" for number in range(100_000)))
    client("SELECT count(), sum(k), max(s) FROM u FORMAT JSON",
           normalise=[(r'"elapsed": [\d.e-]+', "TIME")])
    client("SELECT k % 10 AS d, count(), min(s) FROM u GROUP BY d ORDER BY d "
           "FORMAT Pretty")
    side.tool("clickhouse-benchmark", "--host", "127.0.0.1", "--port", port,
              "-c", "4", "-i", "40", data="SELECT sum(k) FROM u\n" * 10,
              record=False)


def clickhouse(side):
    """A server with many threads. What it asks of mallctl it asks once a
    minute, which is what patterns/clickhouse_bins.c is for. It is not asked to
    end: this version then frees a block twice, which jemalloc does not notice,
    and glibc and Ashlar do."""
    web, native = side.free_port(), side.free_port()
    side.write("config.xml", CLICKHOUSE.format(
        folder=side.folder, http=web, tcp=native))
    side.write("users.xml", CLICKHOUSE_USERS)
    clickhouse_alone(side)
    with side.killed_server("clickhouse-server", "--config-file",
                            side.folder / "config.xml",
                            ready=lambda: answers_on(web)):
        for query in QUERIES:
            side.record(query, ask_clickhouse(web, query))
        clickhouse_beside(side, native)
