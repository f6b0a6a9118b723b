# SPDX-License-Identifier: MIT
"""solvers - programs that take a problem and print its solution."""
import random
import re
import xml.etree.ElementTree as xml
from pathlib import Path

from harness import Failure
from store import LIBRARIES


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


# -- IGoR --

def igor(side):
    """Its alignments, which run in threads. It can do no more here: Debian's
    build ends by a signal wherever it reads a model."""
    share = side.store.root / "usr/share/igor"
    genes = share / "models/human/tcr_beta/ref_genome"
    demo = share / "demo/murugan_naive1_noncoding_demo_seqs.txt"
    (side.folder / "out").mkdir()
    side.write("reads.txt", "".join(demo.read_text(
        encoding="ascii").splitlines(keepends=True)[:20]))
    common = ("-set_wd", side.folder / "out", "-batch", "b", "-threads", 2)
    side.tool("igor", *common, "-read_seqs", "reads.txt", record=False)
    side.tool("igor", *common, "-set_genomic",
              *(word for kind in "VDJ"
                for word in (f"--{kind}", genes / f"genomic{kind}s.fasta")),
              "-align", "--all", record=False)
    for kind in "VDJ":
        path = side.folder / f"out/aligns/b_{kind}_alignments.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) < 10:
            raise Failure(f"igor found {len(lines) - 1} alignments of {kind}")
        side.record(f"alignments of {kind}", "\n".join(sorted(lines)))


# -- Konclude --

def ontology(classes):
    """Classes with parts, of which some are equal, and some cannot be."""
    source = random.Random(3)
    axioms = []
    for number in range(2, classes):
        above, other = (source.randrange(1, number) for _ in range(2))
        axioms.append(f"SubClassOf(:C{number} :C{above})")
        part = f"ObjectSomeValuesFrom(:part :C{other})"
        axioms.append(f"SubClassOf(:C{number} {part})")
        if number % 7 == 0:
            axioms.append(f"EquivalentClasses(:D{number} {part})")
        if number % 11 == 0:
            axioms.append(f"SubClassOf(:C{number} ObjectUnionOf(:C{other} "
                          f"ObjectComplementOf(:C{above})))")
        if number % 13 == 0:
            axioms.append(f"SubClassOf(:E{number} ObjectIntersectionOf("
                          f":C{other} ObjectMinCardinality(3 :part) "
                          "ObjectMaxCardinality(2 :part)))")
        axioms.append(f"ClassAssertion(:C{number} :i{number})")
    return ("Prefix(:=<http://example.org/>)\n"
            "Ontology(<http://example.org/o>\n"
            "TransitiveObjectProperty(:part)\n" + "\n".join(axioms) + "\n)\n")


def facts(text):
    """The statements of an answer, in one order. Of equal classes the same
    one stands for all: which one is written depends on addresses."""
    groups, statements, first = [], [], {}
    for element in xml.fromstring(text):
        names = [part.get("IRI") for part in element if part.get("IRI")]
        kind = element.tag.rpartition("}")[2]
        if kind == "EquivalentClasses":
            groups.append(sorted(names))
            first.update((name, min(names)) for name in names)
        elif kind != "Declaration":
            statements.append((kind, names))
    return sorted({" ".join(["EquivalentClasses", *names])
                   for names in groups}
                  | {" ".join([kind, *(first.get(name, name)
                                       for name in names)])
                     for kind, names in statements})


def konclude(side):
    """What follows of an ontology."""
    side.write("ontology.ofn", ontology(400))
    for task in ("classification", "realization"):
        answer = side.folder / f"{task}.xml"
        side.tool("Konclude", task, "-w", 2, "-i", "ontology.ofn", "-o",
                  answer, record=False)
        found = facts(answer.read_text(encoding="utf-8"))
        if len(found) < 300:
            raise Failure(f"Konclude: {len(found)} facts of {task}")
        side.record(task, "\n".join(found))


# -- Blender --

def blender(side):
    """It has a malloc_conf of its own: background_thread:true,
    dirty_decay_ms:4000."""
    usr = side.store.root / "usr"
    libraries = side.environment["LD_LIBRARY_PATH"]
    side.environment.update(
        BLENDER_SYSTEM_SCRIPTS=f"{usr}/share/blender/scripts",
        BLENDER_SYSTEM_DATAFILES=f"{usr}/share/blender/datafiles",
        LD_LIBRARY_PATH=":".join([
            libraries, f"{usr}/lib",
            *(f"{side.store.root}/{LIBRARIES}/{name}"
              for name in ("blas", "lapack"))]))
    script = Path(__file__).resolve().parent / "inputs" / "scene.py"
    said = side.tool(
        "blender", "--background", "--factory-startup", "--threads", 2,
        "--python-exit-code", 3, "--python", script, record=False).decode()
    results = re.findall("^RESULT .*", said, re.MULTILINE)
    if "RESULT has its thread True" not in results:
        raise Failure(f"Blender's background thread is missing:\n{results}")
    side.record("results", "\n".join(results))
