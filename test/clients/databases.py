# SPDX-License-Identifier: MIT
"""databases - redis-server, and what it asks of jemalloc beside memory."""
import os
import re
import time

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
