# SPDX-License-Identifier: MIT
"""demo_data - what the demo's servers hold, and the check of every answer.

Two kinds of keys.  The load's (key:*, list:*, hash:*) come from
redis-benchmark; which exist is left to chance, but a value can only be one
of the patterns.  Ours (known:*) have contents that follow from their name,
so each is compared byte by byte.
"""

import random

from demo_redis import DemoError

SIZES = (16, 64, 256, 1024, 4096)
BATCH_KEYS = 100            # keys asked for in one pipelined exchange
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

KNOWN_STRINGS, KNOWN_LISTS, KNOWN_HASHES = 4000, 200, 200
# Above 64 elements UNLINK hands the object to redis' own freeing thread:
# blocks then die in another thread than the one that made them.
KNOWN_ELEMENTS_MIN, KNOWN_ELEMENTS_MAX = 100, 200


def pattern(size):
    """The one value of this size that the load writes, no two alike."""
    start = SIZES.index(size)
    letters = ALPHABET[start:] + ALPHABET[:start]
    return (letters * (size // len(letters) + 1))[:size]


PATTERNS = {size: pattern(size).encode() for size in SIZES}


def known_keys():
    for kind, count in (("string", KNOWN_STRINGS), ("list", KNOWN_LISTS),
                        ("hash", KNOWN_HASHES)):
        for i in range(count):
            yield f"known:{kind}:{i}".encode()


def known_value(key):
    """The value that key, one of known_keys(), must have."""
    chance = random.Random(key)
    if key.startswith(b"known:string:"):
        # Sizes spread evenly over the doublings from 1 B to 32 KiB.
        return chance.randbytes(int(2 ** chance.uniform(0, 15)))
    count = chance.randint(KNOWN_ELEMENTS_MIN, KNOWN_ELEMENTS_MAX)
    elements = [chance.randbytes(int(2 ** chance.uniform(0, 9)))
                for _ in range(count)]
    if key.startswith(b"known:list:"):
        return elements
    return {b"field:%d" % i: value for i, value in enumerate(elements)}


def write_commands(key):
    """The commands that give key its value, in steps that make it grow."""
    value = known_value(key)
    if isinstance(value, bytes):
        half = len(value) // 2
        return [("SET", key, value[:half]), ("APPEND", key, value[half:])]
    if isinstance(value, list):
        half = len(value) // 2
        return [("RPUSH", key, *value[:half]),
                ("RPUSH", key, *value[half:])]
    return [("HSET", key, *pair) for pair in value.items()]


def batches(items, count):
    items = list(items)
    for start in range(0, len(items), count):
        yield items[start:start + count]


def write_known(server):
    for keys in batches(known_keys(), 20):
        server.ask_all(command for key in keys
                       for command in write_commands(key))


def read_command(key):
    if b"list:" in key:
        return ("LRANGE", key, 0, -1)
    if b"hash:" in key:
        return ("HGETALL", key)
    return ("GET", key)


def as_value(key, reply):
    """A reply as a value: HGETALL's row of names and values as a dict."""
    if b"hash:" in key and isinstance(reply, list):
        return dict(zip(reply[::2], reply[1::2]))
    return reply


def is_right(key, value):
    """Is this a value that key can have?"""
    if key.startswith(b"known:"):
        return value == known_value(key)
    if key.startswith(b"hash:"):
        return bool(value) and all(
            field == b"f%d" % len(data) and data == PATTERNS.get(len(data))
            for field, data in value.items())
    if key.startswith(b"list:"):
        return bool(value) and all(
            data == PATTERNS.get(len(data)) for data in value)
    return value is not None and value == PATTERNS.get(len(value))


def digest_of(value):
    if isinstance(value, bytes):
        return hash(value)
    if isinstance(value, list):
        return hash(tuple(value))
    return hash(frozenset(value.items()))


class Contents:
    """Every value of a server, checked one by one, kept as digests."""

    def __init__(self, server, keys):
        self.digests = {}
        self.payload_bytes = 0
        self.list_elements = 0
        self.known_count = 0
        for some in batches(sorted(keys), BATCH_KEYS):
            replies = server.ask_all(map(read_command, some))
            for key, reply in zip(some, replies):
                self._add(server, key, as_value(key, reply))

    def _add(self, server, key, value):
        if not is_right(key, value):
            raise wrong(server, f"{key.decode()} holds {str(value)[:100]}")
        self.digests[key] = digest_of(value)
        if isinstance(value, bytes):
            self.payload_bytes += len(value)
        elif isinstance(value, list):
            self.payload_bytes += sum(map(len, value))
        else:
            self.payload_bytes += sum(map(len, value.values()))
        if key.startswith(b"list:"):
            self.list_elements += len(value)
        if key.startswith(b"known:"):
            self.known_count += 1


def wrong(server, text):
    return DemoError(f"wrong answer from redis-server on {server.name}: "
                     f"{text}")


def check_known(server, keys):
    """Compare all of ours among keys with what they must be."""
    ours = [key for key in keys if key.startswith(b"known:")]
    Contents(server, ours)
    return len(ours)


def check_full(server, sent):
    """Check everything before the deletes; sent counts each command."""
    errors = server.facts("errorstats")
    if errors:
        raise wrong(server, f"it met errors: {errors}")
    calls = server.facts("commandstats")
    for command, count in sent.items():
        fact = calls.get(f"cmdstat_{command}", "calls=0")
        done = int(fact.split(",")[0].removeprefix("calls="))
        if done < count:
            raise wrong(server, f"{count} {command} sent, {done} done")
    keys = server.keys()
    if server.ask("DBSIZE") != len(keys):
        raise wrong(server, "DBSIZE and SCAN differ")
    contents = Contents(server, keys)
    if contents.list_elements != sent["lpush"]:
        raise wrong(server, f"{sent['lpush']} elements pushed, "
                            f"{contents.list_elements} in the lists")
    if contents.known_count != len(list(known_keys())):
        raise wrong(server, f"{contents.known_count} of our keys are left")
    return contents


def delete_at_random(server, keys, share, seed):
    """Unlink this share of keys, chosen by seed; return those deleted."""
    chance = random.Random(seed)
    doomed = chance.sample(sorted(keys), int(len(keys) * share))
    for some in batches(doomed, 10 * BATCH_KEYS):
        parts = list(batches(some, BATCH_KEYS))
        replies = server.ask_all(("UNLINK", *part) for part in parts)
        if replies != [len(part) for part in parts]:
            raise wrong(server, f"UNLINK of {BATCH_KEYS} keys each "
                                f"deleted {replies}")
    if server.ask("DBSIZE") != len(keys) - len(doomed):
        raise wrong(server, f"{len(keys)} keys less {len(doomed)} leave "
                            f"{server.ask('DBSIZE')}")
    return set(doomed)


def check_rest(server, before, deleted):
    """Check that all but the deleted are there, as they were before."""
    rest = before.digests.keys() - deleted
    keys = server.keys()
    if keys != rest:
        raise wrong(server, f"{len(keys - rest)} keys came back, "
                            f"{len(rest - keys)} are lost")
    for some in batches(deleted, BATCH_KEYS):
        if server.ask("EXISTS", *some) != 0:
            raise wrong(server, "a deleted key still exists")
    after = Contents(server, keys)
    for key, digest in after.digests.items():
        if digest != before.digests[key]:
            raise wrong(server, f"{key.decode()} has changed")
    return after
