# SPDX-License-Identifier: MIT
"""documents - write and read JSON, change it, and index what it says.

    documents.py ROUNDS
"""

import json
import random
import sys
import zlib


def person(rng, number):
    return {
        "id": number,
        "name": "".join(rng.choices("abcdefghij", k=rng.randint(4, 18))),
        "scores": [rng.random() for _ in range(rng.randint(0, 12))],
        "tags": {f"tag{rng.randrange(500)}": rng.randrange(10 ** 9)
                 for _ in range(rng.randint(0, 6))},
        "address": {"town": f"town {rng.randrange(300)}", "flat": None},
    }


def index(people):
    """Who is where, and the sum of each tag."""
    towns, tags = {}, {}
    for one in people:
        towns.setdefault(one["address"]["town"], []).append(one["name"])
        for tag, value in one["tags"].items():
            tags[tag] = tags.get(tag, 0) + value
    return {"towns": towns, "tags": tags}


def main():
    rng, total = random.Random(1), 0
    people = [person(rng, number) for number in range(3000)]
    for step in range(int(sys.argv[1])):
        text = json.dumps(people)
        people = json.loads(text)
        for one in people[step::3]:
            one["scores"] = [round(score / 2, 6) for score in one["scores"]]
            one["name"] = one["name"][::-1].title()
        total = zlib.crc32(text.encode(), total)
        total = zlib.crc32(
            json.dumps(index(people), sort_keys=True, indent=1).encode(), total)
    print(total)


main()
