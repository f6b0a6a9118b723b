# SPDX-License-Identifier: MIT
"""solvers - programs that take a problem and print its solution."""
import random
import re

from harness import Failure


def cost_network(variables, values, edges, seed):
    """A colouring with a cost for each pair of equal colours, as .wcsp."""
    source = random.Random(seed)
    functions = []
    for number in range(variables):
        costs = [(value, source.randrange(20)) for value in range(values)]
        functions.append(f"1 {number} 0 {values}\n"
                         + "".join(f"{v} {c}\n" for v, c in costs))
    for _ in range(edges):
        one, two = source.sample(range(variables), 2)
        costs = "".join(f"{v} {v} {source.randrange(5, 60)}\n"
                        for v in range(values))
        functions.append(f"2 {one} {two} 0 {values}\n{costs}")
    return (f"colouring {variables} {values} {len(functions)} 100000\n"
            + " ".join([str(values)] * variables) + "\n"
            + "".join(functions))


def toulbar2(side):
    for seed, variables, edges in ((1, 20, 60), (2, 25, 60), (3, 30, 60)):
        side.write("network.wcsp", cost_network(variables, 4, edges, seed))
        said = side.tool("toulbar2", "network.wcsp", "-s",
                         record=False).decode()
        optimum = re.findall(r"^Optimum: \d+", said, re.MULTILINE)
        if not optimum:
            raise Failure(f"toulbar2 found no optimum:\n{said[-800:]}")
        side.record(f"network {seed}", "\n".join(
            optimum + re.findall(r"^ [\d ]+$|in \d+ backtracks and \d+ nodes",
                                 said, re.MULTILINE)))


def write_reads(side, count):
    """Transcripts, and pieces of them."""
    source = random.Random(5)
    transcripts = {f"t{number}": "".join(source.choices(
        "ACGT", k=source.randrange(300, 3000))) for number in range(100)}
    side.write("transcripts.fa", "".join(
        f">{name}\n{text}\n" for name, text in transcripts.items()))
    reads = []
    for number in range(count):
        text = transcripts[f"t{source.randrange(100)}"]
        at = source.randrange(len(text) - 100)
        reads.append(f">r{number}\n{text[at:at + 100]}\n")
    side.write("reads.fa", "".join(reads))


def rapmap(side):
    write_reads(side, 2000)
    side.tool("rapmap", "quasiindex", "-t", "transcripts.fa", "-i", "index",
              record=False)
    mapped = side.tool("rapmap", "quasimap", "-i", "index", "-r", "reads.fa",
                       "-t", "1", record=False).decode()
    lines = sorted(line for line in mapped.splitlines() if line[:1] == "r")
    if len(lines) < 2000:
        raise Failure(f"rapmap mapped {len(lines)} of 2000 reads")
    side.record("mappings", "\n".join(lines))


def salmon(side):
    """It has another allocator's library beside jemalloc's in its process."""
    write_reads(side, 4000)
    side.tool("salmon", "--no-version-check", "index", "-t", "transcripts.fa",
              "-i", "index", "-p", "2", record=False)
    side.tool("salmon", "--no-version-check", "quant", "-i", "index", "-l",
              "A", "-r", "reads.fa", "-p", "2", "-o", "out", record=False)
    rows = (side.folder / "out/quant.sf").read_text(encoding="utf-8")
    side.record("transcripts found", "\n".join(sorted(
        line.split("\t")[0] for line in rows.splitlines())))
    total = sum(float(line.split("\t")[4])
                for line in rows.splitlines()[1:])
    if not 3900 <= total <= 4000:
        raise Failure(f"salmon counts {total} of 4000 reads")
