# SPDX-License-Identifier: MIT
"""inputs - what the real programs read, written anew from fixed seeds.

Each function yields the pieces, str or bytes, of one file of a given size.
"""

import itertools
import random

SYLLABLES = ["ash", "lar", "stone", "mor", "tar", "quar", "ry", "joint", "wall",
             "arch", "key", "vault", "lin", "tel", "cor", "bel", "pier", "sill"]


def word_of(rng):
    return "".join(rng.choices(SYLLABLES, k=rng.randint(1, 4)))


# -- redis: batches of requests; bench/real/redis.py sends them --

def request(*words):
    """One request in redis' protocol."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


def batch(requests, pause_ms=0):
    """Requests that are sent at once, with a line of their own in front."""
    body = b"".join(requests)
    return b"%d %d %d\n" % (len(body), len(requests), pause_ms) + body


def noise_of(rng):
    """Bytes from which values are cut."""
    return rng.randbytes(1 << 16).replace(b"\r", b"-")


def value_of(rng, noise, longest):
    """Mostly short values, now and then one of `longest` bytes."""
    length = int(8 + (longest - 8) * rng.random() ** 3)
    start = rng.randrange(len(noise) - length)
    return noise[start:start + length]


def redis_strings(batches):
    """A cache: set, overwrite with another length, get, append, delete."""
    rng = random.Random(1)
    noise = noise_of(rng)

    def any_request():
        key, dice = f"user:{rng.randrange(60000):06}", rng.random()
        if dice < 0.55:
            return request("SET", key, value_of(rng, noise, 700))
        if dice < 0.85:
            return request("GET", key)
        if dice < 0.92:
            return request("APPEND", key, value_of(rng, noise, 100))
        return request("DEL", key)

    for _ in range(batches):
        yield batch([any_request() for _ in range(500)])


def redis_lists(batches):
    """Queues and time lines: push at one end, read a window, trim, pop."""
    rng = random.Random(2)
    noise = noise_of(rng)

    def any_request():
        key, dice = f"line:{rng.randrange(800):04}", rng.random()
        if dice < 0.70:
            return request("LPUSH", key, value_of(rng, noise, 400))
        if dice < 0.78:
            return request("LRANGE", key, 0, 9)
        if dice < 0.98:
            return request("RPOP", key)
        return request("LTRIM", key, 0, 60)

    for _ in range(batches):
        yield batch([any_request() for _ in range(400)])


def redis_sessions(waves):
    """Sessions, a hash each: they come in waves, and expire after 60 ms.

    The pause after a wave is longer than that, and than redis' round for
    expired keys, so that every allocator's server answers the same.
    """
    rng = random.Random(3)
    noise = noise_of(rng)
    for wave in range(waves):
        keys = [f"session:{wave}:{number}" for number in range(6000)]
        for start in range(0, len(keys), 100):
            requests = []
            for key in keys[start:start + 100]:
                fields = ["id", rng.getrandbits(60), "name", word_of(rng)]
                for name in rng.sample(SYLLABLES, rng.randint(1, 6)):
                    fields += [name, value_of(rng, noise, 300)]
                requests.append(request("HSET", key, *fields))
                if rng.random() < 0.9:
                    requests.append(request("PEXPIREAT", key, 1)
                                    if rng.random() < 0.2 else
                                    request("PEXPIRE", key, 60))
            yield batch(requests)
        yield batch([request("PING")], pause_ms=120)
        for start in range(0, len(keys), 500):
            yield batch([request("HLEN", key)
                         for key in keys[start:start + 500]])


# -- files for the other programs --

def sql(rows):
    """Two tables, filled row by row; joins, groups, an index, deletes."""
    rng = random.Random(4)
    yield "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, town TEXT);\n"
    yield "CREATE TABLE sale(person INT, item TEXT, price REAL, note TEXT);\n"
    yield "BEGIN;\n"
    towns = [word_of(rng) for _ in range(200)]
    for row in range(rows // 4):
        yield (f"INSERT INTO person VALUES({row},'{word_of(rng)}',"
               f"'{rng.choice(towns)}');\n")
    for row in range(rows):
        note = " ".join(word_of(rng) for _ in range(rng.randint(0, 12)))
        yield (f"INSERT INTO sale VALUES({rng.randrange(rows // 4)},"
               f"'{word_of(rng)}',{rng.randrange(10000) / 4},'{note}');\n")
    yield "COMMIT;\nCREATE INDEX by_item ON sale(item, price);\n"
    yield ("SELECT town, count(*), sum(price), group_concat(DISTINCT item) "
           "FROM sale JOIN person ON person.id = sale.person "
           "GROUP BY town ORDER BY town;\n")
    yield ("SELECT upper(name), max(length(note)), min(replace(note, 'a', 'e'))"
           " FROM sale JOIN person ON id = person GROUP BY 1 ORDER BY 1;\n")
    yield "DELETE FROM sale WHERE price < 900;\n"
    yield ("SELECT a.item, count(*) FROM sale a JOIN sale b ON a.item = b.item"
           " AND a.price < b.price AND b.price < a.price + 2"
           " GROUP BY a.item ORDER BY 2 DESC, 1 LIMIT 50;\n")


def expression(rng, depth):
    """A C expression over a, b, c and s->x, s->y."""
    if depth == 0:
        return rng.choice(["a", "b", "c", "s->x", "s->y",
                           str(rng.randrange(99))])
    left, right = expression(rng, depth - 1), expression(rng, depth - 1)
    return f"({left} {rng.choice(['+', '-', '*', '^', '&', '|'])} {right})"


def c_source(functions):
    """A translation unit of many middling functions that call each other."""
    rng = random.Random(5)
    yield "struct s { int x, y; struct s *next; char text[20]; };\n"
    for number in range(functions):
        yield f"int f{number}(struct s *s, int a, int b)\n{{\n    int c = a;\n"
        for _ in range(rng.randint(6, 14)):
            yield (f"    if ({expression(rng, 2)} > b)\n"
                   f"        c = {expression(rng, 3)};\n")
            yield (f"    for (int i = 0; i < (c & 15); i++) {{\n"
                   f"        s->text[i] ^= {expression(rng, 1)};\n"
                   f"        s->x += {expression(rng, 2)};\n    }}\n")
            yield (f"    switch (c & 3) {{\n    case 0: a += s->y; break;\n"
                   f"    case 1: s = s->next; break;\n"
                   f"    default: b ^= {expression(rng, 2)};\n    }}\n")
        callee = rng.randrange(number + 1)
        yield f"    return c + f{callee}(s->next, b, c);\n}}\n"


PS_PROLOGUE = """%!PS-Adobe-3.0
/words 5 dict def
/tally {
    dup words exch known { dup words exch get 1 add } { 1 } ifelse
    words 3 1 roll put
} bind def
/scratch { 0 1 3000 { dup 10 string cvs pop 7 mod array pop } for } bind def
"""


def postscript(pages):
    """Pages of text in three fonts, and curves; a dictionary, and garbage."""
    rng = random.Random(6)
    yield PS_PROLOGUE
    for _ in range(pages):
        for row in range(70):
            text = " ".join(word_of(rng) for _ in range(10))
            font = rng.choice(["Times-Roman", "Helvetica", "Courier-Bold"])
            size = rng.uniform(6, 12)
            yield f"/{font} findfont {size:.2f} scalefont setfont\n"
            yield f"40 {760 - 10 * row} moveto ({text}) show\n"
            yield f"(k{rng.randrange(3000)}) cvn tally\n"
        for _ in range(400):
            start = f"{rng.randrange(600)} {rng.randrange(700)} moveto"
            curve = " ".join(f"{rng.uniform(0, 600):.1f}" for _ in range(6))
            use = rng.choice(["stroke", "closepath fill",
                              "clip newpath initclip"])
            yield (f"{rng.random():.2f} setgray newpath {start} "
                   f"{curve} curveto {use}\n")
        yield "scratch showpage\n"


def schedule(rng, jobs, machines):
    """Jobs on machines: in their order, no two at once, by a given hour."""
    tasks = [(job, machine) for job in range(jobs)
             for machine in range(machines)]
    span = {task: rng.randint(1, 9) for task in tasks}
    limit = 4 + max(sum(span[job, machine] for job in range(jobs))
                    for machine in range(machines))

    def after(task, other):
        return "(>= t{}_{} (+ t{}_{} {}))".format(*task, *other, span[other])

    for task in tasks:
        name = "t{}_{}".format(*task)
        yield (f"(declare-const {name} Int)\n(assert (and (>= {name} 0) "
               f"(<= (+ {name} {span[task]}) {limit})))\n")
    for job in range(jobs):
        order = rng.sample(range(machines), machines)
        for first, then in zip(order, order[1:]):
            yield f"(assert {after((job, then), (job, first))})\n"
    for (one, machine), two in itertools.product(tasks, range(jobs)):
        if two < one:
            pair = (one, machine), (two, machine)
            yield f"(assert (or {after(*pair)} {after(*pair[::-1])}))\n"


def smt(problems):
    """Schedules, a fresh problem each, and a product to take apart."""
    rng = random.Random(7)
    for _ in range(problems):
        yield "(reset)\n(set-logic QF_LIA)\n"
        yield from schedule(rng, 9, 5)
        yield "(check-sat)\n(get-info :rlimit)\n"
    yield "(reset)\n(set-logic QF_BV)\n"
    for name in "ab":
        yield f"(declare-const {name} (_ BitVec 24))\n"
        yield f"(assert (bvult #x000001 {name}))\n"
        yield f"(assert (bvult {name} #x001000))\n"
    yield "(assert (= (bvmul a b) (_ bv9353951 24)))\n"
    yield "(check-sat)\n(get-info :rlimit)\n"


def pla(cubes):
    """A two-level logic function of 16 inputs and 8 outputs."""
    rng = random.Random(8)
    yield f".i 16\n.o 8\n.p {cubes}\n"
    for _ in range(cubes):
        yield ("".join(rng.choices("01-", weights=[3, 3, 4], k=16)) + " " +
               "".join(rng.choices("01", weights=[3, 1], k=8)) + "\n")
    yield ".e\n"
