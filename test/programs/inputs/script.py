# SPDX-License-Identifier: MIT
"""Objects, JSON, threads and big integers; prints hashes of the results."""
import hashlib
import json
import random
import threading


class Node:
    """A tree that is built at random and taken apart again."""

    def __init__(self, key):
        self.key = key
        self.children = {}
        self.text = "node-%d " % key * (key % 40)

    def add(self, path):
        node = self
        for step in path:
            node = node.children.setdefault(step, Node(node.key * 7 % 1009
                                                       + step))
        return node

    def plain(self):
        return {"key": self.key, "text": self.text,
                "children": {str(k): v.plain()
                             for k, v in sorted(self.children.items())}}


def build(seed):
    source = random.Random(seed)
    root = Node(seed)
    for _ in range(3000):
        root.add([source.randrange(5) for _ in range(source.randrange(1, 7))])
    text = json.dumps(root.plain())
    assert json.dumps(json.loads(text)) == text
    return hashlib.sha256(text.encode()).hexdigest()


def worker(results, seed):
    results[seed] = build(seed)


def main():
    results = {}
    threads = [threading.Thread(target=worker, args=(results, seed))
               for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in sorted(results):
        print(seed, results[seed])
    words = [bytes([i % 251]) * (i * i % 70001) for i in range(700)]
    print(hashlib.sha256(b"".join(sorted(words))).hexdigest())
    number = 1
    for i in range(1, 3000):
        number *= i
    print(hashlib.sha256(str(number % 10**4000).encode()).hexdigest())


main()
