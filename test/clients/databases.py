# SPDX-License-Identifier: MIT
"""databases - redis-server and clickhouse-server, and what they ask of jemalloc
beside memory."""
import http.client
import os
import re
import time

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


def threads_of(process):
    names = []
    for task in re.findall(r"\d+", " ".join(
            os.listdir(f"/proc/{process.pid}/task"))):
        with open(f"/proc/{process.pid}/task/{task}/comm",
                  encoding="utf-8") as file:
            names.append(file.read().strip())
    return names


def redis(side):
    path = side.folder / "redis.sock"
    with side.server_of(
            "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
            "--enable-debug-command", "yes", "--dir", side.folder,
            ready=lambda: redis_answers(path)) as process:
        client = Redis(path)
        side.record("background thread at start",
                    str("jemalloc_bg_thd" in threads_of(process)))
        side.record("SET", client.call("SET", "k", "v" * 100))
        side.record("GET", client.call("GET", "k"))
        side.record("live keys", str(fill_redis(client, 21, 60)))
        fill_structures(client, 22)
        check_memory(side, client, "when full")
        memory_commands(side, client)
        purge(client)
        side.record("threads without", str("jemalloc_bg_thd"
                                           in threads_of(process)))
        for words in (("CONFIG", "SET", "jemalloc-bg-thread", "yes"),
                      ("CONFIG", "GET", "jemalloc-bg-thread"),
                      ("CONFIG", "SET", "activedefrag", "yes"),
                      ("DEBUG", "RELOAD"), ("DEBUG", "DIGEST"),
                      ("DEBUG", "JMAP"), ("DEBUG", "MALLCTL", "arenas.page"),
                      ("DEBUG", "MALLCTL", "opt.abort"),
                      ("DEBUG", "MALLCTL", "no.such"),
                      ("DEBUG", "MALLCTL-STR", "opt.zero_realloc")):
            side.record(" ".join(words), repr(attempt(client, *words)))
        side.record("threads then", str("jemalloc_bg_thd"
                                        in threads_of(process)))
        client.call("BGSAVE")
        wait_for_save(client)
        client.call("FLUSHALL")
        check_memory(side, client, "when empty")
        client.close()


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
    "SELECT groupArray(s)[100] FROM t",
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


def clickhouse(side):
    """A server with many threads. What it asks of mallctl it asks once a
    minute, which is what patterns/clickhouse_bins.c is for. It is not asked to
    end: this version then frees a block twice, which jemalloc does not notice,
    and glibc and Ashlar do."""
    web = side.free_port()
    side.write("config.xml", CLICKHOUSE.format(
        folder=side.folder, http=web, tcp=side.free_port()))
    side.write("users.xml", CLICKHOUSE_USERS)
    with side.killed_server("clickhouse-server", "--config-file",
                            side.folder / "config.xml",
                            ready=lambda: answers_on(web)):
        for query in QUERIES:
            side.record(query, ask_clickhouse(web, query))
