# SPDX-License-Identifier: MIT
"""tools - everyday programs on generated files."""
import random
import re

from harness import Failure, INPUTS

WORDS = """stone joint course quoin lintel arch vault pier mortar chisel
    ledger plumb level trowel buttress corbel""".split()


def write_text(folder):
    """A text of some megabytes that compresses neither well nor badly,
    and a file tree."""
    source = random.Random(2024)
    with open(folder / "text", "w", encoding="ascii") as file:
        for number in range(90_000):
            words = source.choices(WORDS, k=source.randrange(2, 9))
            file.write(f"{source.randrange(10**6)}\t{' '.join(words)}\t"
                       f"{number % 977}.{source.random():.6f}\n")
    for number in range(400):
        place = folder / "tree" / f"d{number % 7}" / f"e{number % 31}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file{number}.txt").write_text(
            f"{number}\n" * source.randrange(2000), encoding="ascii")


def archivers(side):
    text = side.shared / "text"
    side.write("copy", text.read_bytes())
    for name, options, back in (
            ("gzip", ["-6", "-n"], "gzip"), ("bzip2", ["-9"], "bzip2"),
            ("xz", ["-1", "-T2", "--block-size=1MiB"], "xz"),
            ("xz", ["-3", "--threads=1"], "xz"),
            ("zstd", ["-q", "-9", "-T2"], "zstd")):
        packed = side.run([name] + options + ["-c", "copy"])
        if side.run([back, "-dc"], data=packed) != text.read_bytes():
            raise Failure(f"{name}: the round trip changed the data")


def tar(side):
    tree = side.shared / "tree"
    side.run(["tar", "-C", tree, "--sort=name", "--mtime=@0", "-czf",
              "out.tgz", "."])
    side.run(["tar", "-tzf", "out.tgz"])
    side.write("into/mark", "")
    side.run(["tar", "-C", "into", "-xzf", "out.tgz"])
    side.run(["diff", "-r", "-x", "mark", tree, "into"])
    side.run(["find", "into", "-type", "f", "-size", "+2k", "-printf",
              "%s %P\n"], normalise=[(r"(?s).*", "")])
    listing = side.run(["find", "into", "-name", "file*[05].txt", "-printf",
                        "%P\n"], record=False)
    side.record("find", b"\n".join(sorted(listing.split())))
    side.run(["du", "-sb", "--apparent-size", "into/d1/e1"])


def sort(side):
    text = side.shared / "text"
    for options in (["--parallel=2"], ["-n", "--parallel=2", "-S", "64M"],
                    ["-k2,2", "-k1,1nr"], ["-u", "-S", "1M"]):
        side.run(["sort"] + options + [text])
    side.run(["sort", "-R", "--random-source=" + str(text), text])
    side.run(["uniq", "-c"], data=side.run(["cut", "-f2", text]))


def filters(side):
    text = side.shared / "text"
    program = ("{ n[$2] += $1; s = s substr($2, 1, 3) } "
               "END { for (k in n) t += n[k]; print NR, t, length(s); "
               "m = split(s, a, \"st\"); print m }")
    for awk in ("gawk", "mawk"):
        side.run([awk, "-F", "\t", program, text])
    side.run(["gawk", "-F", "\t", "{ n[$2]++ } END { c = asorti(n, k); "
              "for (i = 1; i <= c; i++) print k[i], n[k[i]] }", text])
    side.run(["sed", "-E", "s/([a-z]+) ([a-z]+)/\\2 \\1/g; /^1/d; "
              "$!N; P; D", text])
    side.run(["grep", "-E", "(stone|arch).*\\b(pier|vault)\\b", text])
    side.run(["grep", "-oP", "(?<=\\t)\\w+(?= quoin)", text])
    side.run(["grep", "-c", "-E", "^(.*)(stone|pier) .* \\2 ", text])
    side.run(["tr", "a-z", "n-za-m"], data=text.read_bytes())
    side.run(["jq", "-c", "group_by(.k) | map({k: .[0].k, n: length, "
              "s: (map(.v) | add)})"], data=json_rows())
    side.run(["bc", "-l"], data="scale=600\na(1)*4\n2^9999 % 10^200\n")
    side.run(["m4"], data="define(`f', `ifelse($1, 0, x, `f(decr($1))$1')')"
             "f(200)\nsyscmd(`echo child')")


def json_rows():
    source = random.Random(5)
    rows = (f'{{"k": "{source.choice(WORDS)}", "v": {source.random():.4f}}}'
            for _ in range(20_000))
    return "[" + ",".join(rows) + "]"


def openssl(side):
    text = side.shared / "text"
    for digest in ("sha256", "sha3-512", "blake2b512"):
        side.run(["openssl", "dgst", "-" + digest, "-r", text])
    cipher = ["openssl", "enc", "-aes-256-cbc", "-K", "11" * 32, "-iv",
              "22" * 16]
    packed = side.run(cipher, data=text.read_bytes())
    if side.run(cipher + ["-d"], data=packed) != text.read_bytes():
        raise Failure("openssl: the round trip changed the data")
    # Keys are random, so only what is done with them is compared.
    side.run(["openssl", "genrsa", "-out", "key.pem", "2048"], record=False)
    side.run(["openssl", "rsa", "-in", "key.pem", "-pubout", "-out",
              "public.pem"])
    side.run(["openssl", "dgst", "-sha256", "-sign", "key.pem", "-out",
              "signature", text])
    side.run(["openssl", "dgst", "-sha256", "-verify", "public.pem",
              "-signature", "signature", text])
    side.run(["openssl", "req", "-x509", "-new", "-key", "key.pem", "-out",
              "certificate.pem", "-subj", "/CN=example.org"])
    side.run(["openssl", "verify", "-CAfile", "certificate.pem",
              "certificate.pem"])


def vim(side):
    side.write("edit", (side.shared / "text").read_bytes()[:2_000_000])
    script = side.write("commands", "\n".join([
        "%s/stone/rock/g", "g/^1/d", "sort n", "%!sort -r", "undo", "redo",
        "normal gg10dd5p", "1,200join", "%s/\\v(\\w+) (\\w+)/\\2 \\1/e",
        "write! edited", "qall!"]) + "\n")
    side.run(["vim", "-u", "NONE", "-i", "NONE", "-n", "-es", "-S", script,
              "edit"])
    side.record_files("edited")


def write_sql(folder):
    source = random.Random(77)
    lines = ["BEGIN;",
             "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, "
             "town TEXT, note BLOB);",
             "CREATE TABLE visit(person INT, day INT, cost REAL);"]
    for number in range(12_000):
        lines.append(f"INSERT INTO person VALUES({number}, "
                     f"'{source.choice(WORDS)}{source.randrange(4000)}', "
                     f"'{source.choice(WORDS)}', "
                     f"zeroblob({source.choice([0, 10, 300, 9000])}));")
        for _ in range(source.randrange(4)):
            lines.append(f"INSERT INTO visit VALUES({number}, "
                         f"{source.randrange(366)}, "
                         f"{source.randrange(10_000) / 100});")
    lines += ["COMMIT;", "CREATE INDEX by_town ON person(town, name);"]
    (folder / "fill.sql").write_text("\n".join(lines), encoding="ascii")


def sqlite3(side):
    side.run(["sqlite3", "data.db", f".read {side.shared / 'fill.sql'}"])
    side.run(["sqlite3", "data.db", f".read {INPUTS / 'queries.sql'}"])
    side.run(["sqlite3", "data.db", ".dump"])
    side.run(["sqlite3", "data.db", "PRAGMA integrity_check;"])


def z3(side):
    """The pigeonhole problem and a bit-vector puzzle: C++ and much memory."""
    holes = 7
    lines = ["(set-option :smt.random_seed 1)"]
    for pigeon in range(holes + 1):
        lines += [f"(declare-const p{pigeon} Int)",
                  f"(assert (and (<= 0 p{pigeon}) (< p{pigeon} {holes})))"]
    lines.append("(assert (distinct " + " ".join(
        f"p{pigeon}" for pigeon in range(holes + 1)) + "))")
    lines += ["(check-sat)", "(reset)",
              "(declare-const a (_ BitVec 24))",
              "(declare-const b (_ BitVec 24))",
              "(assert (= (bvmul a b) #x3b9aca))",
              "(assert (bvult #x000002 a))", "(assert (bvult a b))",
              "(assert (bvult b #x001000))",
              "(check-sat)"]
    answer = side.run(["z3", "-in"], data="\n".join(lines))
    words = re.findall(rb"^\w+$", answer, re.M)
    if words[:1] != [b"unsat"] or len(words) != 2:
        raise Failure(f"z3: wrong answer {answer!r}")
