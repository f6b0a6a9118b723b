#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the settings: where they are read, what is said, what they do.

Usage: options.py --list | --packages
       options.py --lib LIBASHLAR.SO --build FOLDER [--suite NAME]

What single rows of the table accept is tested in test/unit/table/; here whole
processes are started, and where Debian's jemalloc is installed, both libraries
get the same settings and have to say the same.
"""
import json
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from workshop import HERE, main

PACKAGES = ["libjemalloc2", "util-linux"]

DEBIAN = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
TABLE = HERE.parent.parent / "src" / "table" / "option.def"
BEGIN = "___ Begin jemalloc statistics ___"
END = "--- End jemalloc statistics ---"
SAYS = "<jemalloc>: "

# What is announced with confirm_conf, before the text of each source.
SOURCES = [
    "string specified via --with-malloc-conf",
    "string pointed to by the global variable malloc_conf",
    '"name" of the file referenced by the symbolic link named '
    "/etc/malloc.conf",
    "value of the environment variable MALLOC_CONF",
    "string pointed to by the global variable malloc_conf_2_conf_harder",
]


def run_with(shop, conf, program, library=None, **more):
    environment = {} if conf is None else {"MALLOC_CONF": conf}
    return shop.run(program, preload=[library or shop.library],
                    environment=environment, **more)


# -- what is said --

def messages(shop):
    """What is wrong is named, and the program runs on."""
    plain = shop.compile("plain", "plain.c")
    shop.expect_served(plain)
    for conf in (None, "", "dirty_decay_ms:-1", "dirty_decay_ms:0x10",
                 "stats_print:false", "on_misuse:warn",
                 "abort_conf:true,dirty_decay_ms:-1,thp:always,prof:true",
                 "background_thread:false,hpa:false,lg_tcache_max:12"):
        shop.expect_output(f"'{conf}'", run_with(shop, conf, plain),
                           "done secure=0")
    unknown = "<ashlar>: no option has the name no_such_key; the nearest is "
    for conf, wanted in (
            ("no_such_key:17", "Invalid conf pair: no_such_key:17"),
            ("dirty_decay_ms:soon",
             "Invalid conf value: dirty_decay_ms:soon"),
            ("dirty_decay_ms:-2",
             "Out-of-range conf value: dirty_decay_ms:-2"),
            ("stats_print:", "Invalid conf value: stats_print:"),
            ("bin_shards:x", "Invalid settings for bin_shards: bin_shards:x"),
            ("on_misuse:cry", "Invalid conf value: on_misuse:cry"),
            ("narenas:5000", "Reducing narenas to limit (4094)")):
        result = run_with(shop, conf, plain)
        shop.expect_output(f"'{conf}'", result, "done secure=0", quiet=False)
        lines = result.stderr.splitlines()
        shop.expect(lines[:1] == [SAYS + wanted],
                    f"'{conf}': said {lines}, not {wanted}")
        shop.expect(lines[1:] == [] or conf.startswith("no_such_key") and
                    len(lines) == 2 and lines[1].startswith(unknown),
                    f"'{conf}': said {lines[1:]} as well")
    for conf in ("stats_print", "no_colon,x", "zero:false,", "a b:c"):
        result = run_with(shop, conf, plain)
        shop.expect_output(f"'{conf}'", result, "done secure=0", quiet=False)
        lines = result.stderr.splitlines()
        shop.expect(len(lines) == 2 and lines[0] == lines[1] and
                    re.match(SAYS + r"(Malformed conf string|Conf string "
                             r"ends with (key|comma)) -- ", lines[0]),
                    f"'{conf}' is malformed; said {lines}")
    result = run_with(shop, "x:y," * 5000, plain)
    shop.expect_output("20 KB of unknown keys", result, "done secure=0",
                       quiet=False)
    shop.expect(result.stderr.count("Invalid conf pair: x:y\n") == 5000,
                "not every one of 5000 unknown keys was named")


def aborting(shop):
    """abort_conf ends the process after the line that says so."""
    plain = shop.compile("plain", "plain.c")
    said = ("<jemalloc>: Abort (abort_conf:true) on invalid conf value "
            "(see above).\n")
    for conf in ("abort_conf:true,no_such_key:17", "abort_conf:true,",
                 "zero:7,abort_conf:true",
                 "abort_conf:true,prof_leak_error:true"):
        result = run_with(shop, conf, plain)
        shop.expect(result.returncode == -signal.SIGABRT and
                    result.stderr.endswith("\n" + said),
                    f"'{conf}': ended with {result.returncode}, "
                    f"'{result.stderr}'")
    result = run_with(shop, "abort:true,narenas:5000", plain)
    shop.expect(result.returncode == -signal.SIGABRT,
                f"abort: ended with {result.returncode}")


def message_hook(shop):
    """A program's malloc_message hears every line, and stderr none."""
    program = shop.compile("conf_hook", "conf_variables.c", "-rdynamic",
                           "-DHOOK")
    result = run_with(shop, "no_such_key:1,narenas:0,zero", program)
    lines = [line for line in result.stdout.splitlines()
             if line.startswith("heard ")]
    shop.expect(result.stderr == "" and len(lines) == 5 and
                lines[0].endswith("Conf string ends with key -- zero") and
                lines[1].endswith("Invalid conf pair: no_such_key:1") and
                lines[3].endswith("Out-of-range conf value: narenas:0"),
                f"malloc_message heard {lines}; stderr: '{result.stderr}'")


# -- the sources --

def confirmed(texts, taken):
    """What confirm_conf has to print: the texts by source, what was set."""
    lines = []
    for number, (name, text) in enumerate(zip(SOURCES, texts), 1):
        lines.append(f'{SAYS}malloc_conf #{number} ({name}): "{text}"')
        lines += [f"{SAYS}-- Set conf value: {pair}"
                  for pair in taken[number - 1]]
    return "".join(line + "\n" for line in lines)


def expect_sources(shop, title, result, texts):
    taken = [text.split(",") if text else [] for text in texts]
    wanted = confirmed(texts, taken)
    shop.expect(result.returncode == 0 and result.stderr == wanted,
                f"{title}: ended with {result.returncode}, said "
                f"'{result.stderr}' instead of '{wanted}'")


def sources(shop):
    """Five sources in their order; the later wins."""
    program = shop.compile("conf_variables", "conf_variables.c", "-rdynamic")
    first, last = "confirm_conf:true,junk:true", "narenas:7"
    expect_sources(shop, "two variables", run_with(shop, None, program),
                   ["", first, "", "", last])
    conf = "junk:false,narenas:3"
    result = run_with(shop, conf, program)
    expect_sources(shop, "and the environment", result,
                   ["", first, "", conf, last])
    shop.expect(result.stdout == "first byte 00\n",
                f"the environment did not win: '{result.stdout}'")
    result = run_with(shop, None, program)
    shop.expect(result.stdout == "first byte a5\n",
                f"the variable was not obeyed: '{result.stdout}'")
    link(shop, program, first, last)


def link(shop, program, first, last):
    """/etc/malloc.conf, in a file system of the process's own."""
    if shutil.which("unshare") is None or \
            shop.run("unshare", "-rm", "true").returncode != 0:
        shop.skip("no mount namespace: /etc/malloc.conf is not tried")
        return
    with tempfile.TemporaryDirectory() as folder:
        target = "junk:false,dirty_decay_ms:5"
        (Path(folder) / "malloc.conf").symlink_to(target)
        if Path("/etc/ld.so.cache").exists():
            shutil.copy("/etc/ld.so.cache", folder)
        script = ('mount --bind "$0" /etc && LD_PRELOAD="$1" '
                  'MALLOC_CONF=junk:alloc exec "$2"')
        result = shop.run("unshare", "-rm", "sh", "-c", script, folder,
                          shop.library, program)
        expect_sources(shop, "and /etc/malloc.conf", result,
                       ["", first, target, "junk:alloc", last])
        shop.expect(result.stdout == "first byte a5\n",
                    f"the environment is behind the link: {result.stdout}")


# -- beside Debian's --

def table_rows():
    """(kind, name, low, high) of each row, limits as numbers."""
    limits = {"SIZE_MAX": 2**64 - 1, "UINT64_MAX": 2**64 - 1,
              "UINT_MAX": 2**32 - 1, "UINT32_MAX": 2**32 - 1,
              "INT64_MAX": 2**63 - 1}
    text = TABLE.read_text(encoding="utf-8")
    found = re.findall(r"^OPTION\((\w+), (\w+), [^,]*, (\S+), (\S+), ", text,
                       re.MULTILINE)
    return [(kind, name, *(limits[word] if word in limits else int(word, 0)
                           for word in (low, high)))
            for kind, name, low, high in found]


def values_to_try(low, high):
    numbers = sorted({low, low - 1, low + 1, high, high - 1, high + 1,
                      0, 1, 7, 64})
    words = ["true", "false", "", "TRUE", "0x10", "010", "08", "-1", "-2",
             " 5", "+5", "5 ", "1.5", "0.25", ".5", "1.", "default",
             "disabled", "always", "alloc", "abort", "auto", "lazy", "1-9:1",
             "1-9:1|16-32:2", "1-9:0", "1-9", "18446744073709551616"]
    return [str(n) for n in numbers if n < 2**64] + words


# Of these words jemalloc takes the beginning too, be it empty; we do not.
CUT_WORDS = re.compile(r"(metadata_thp|dss|percpu_arena|thp):")


def debian(shop):
    """confirm_conf says of every row what Debian's library says of it."""
    if not DEBIAN.exists():
        shop.skip(f"there is no {DEBIAN}")
        return
    same, unknown = 0, set()
    for kind, name, low, high in table_rows():
        if name in ("confirm_conf", "abort_conf"):
            continue
        pairs = [f"{name}:{value}" for value in values_to_try(low, high)]
        ours = verdicts(shop, shop.library, pairs)
        theirs = verdicts(shop, DEBIAN, pairs)
        if any(line.startswith(SAYS + "Invalid conf pair") for line in theirs):
            unknown.add(name)
            continue
        for pair, line, other in zip(pairs, ours, theirs):
            if CUT_WORDS.fullmatch(pair):
                continue
            shop.expect(line == other, f"{pair}: '{line}', Debian's says "
                        f"'{other}'")
            same += 1
    print(f"{same} settings compared; not known to Debian's library: "
          f"{' '.join(sorted(unknown))}")
    shop.expect(same > 1000, f"only {same} settings were compared")


def verdicts(shop, library, pairs):
    """What is said of each pair, a line each."""
    result = run_with(shop, "confirm_conf:true," + ",".join(pairs),
                      "/bin/true", library)
    lines = result.stderr.splitlines()
    start = lines.index(f"{SAYS}-- Set conf value: confirm_conf:true") + 1
    lines = [line for line in lines[start:] if not line.startswith("<ashlar>")]
    return lines[:len(pairs)]


# -- what they do --

def effects(shop):
    """Settings that a program can see by itself."""
    program = shop.compile("conf_effects", "conf_effects.c")
    for conf, what, wanted in (
            (None, "zero_realloc", "null"),
            ("zero_realloc:alloc", "zero_realloc", "block"),
            ("junk:true", "junk", "a5 5a"),
            ("junk:alloc", "junk", "a5 a5"),
            ("zero:true", "junk", "00 11"),
            (None, "new", "null")):
        result = shop.run(program, what, preload=[shop.library],
                          environment={"MALLOC_CONF": conf or ""})
        shop.expect_output(f"{conf}", result, wanted)
    for conf, what in (("zero_realloc:abort", "zero_realloc"),
                       ("experimental_infallible_new:true", "new")):
        result = shop.run(program, what, preload=[shop.library],
                          environment={"MALLOC_CONF": conf})
        shop.expect(result.returncode == -signal.SIGABRT and
                    result.stderr.startswith((SAYS, "Called ")) and
                    conf.split(":", maxsplit=1)[0] in result.stderr,
                    f"{conf}: ended with {result.returncode}, "
                    f"'{result.stderr}'")
    printing(shop, program)


def printing(shop, program):
    """Statistics at the end, and when so many bytes were allocated."""
    for conf, what, count in (
            ("stats_print:true", "junk", 1),
            ("no_such_key:1,stats_print:true", "junk", 1),
            ("stats_print:true,stats_print_opts:mdablxe", "junk", 1),
            ("stats_interval:1000000", "junk", 0),
            ("stats_interval:1000000", "five_times_2_mb", 5),
            ("stats_interval:2000000,stats_print:true", "five_times_2_mb", 6),
            ("stats_interval:100000000", "five_times_2_mb", 0)):
        result = shop.run(program, what, preload=[shop.library],
                          environment={"MALLOC_CONF": conf})
        shop.expect(result.returncode == 0 and
                    result.stderr.count(BEGIN) == count and
                    result.stderr.count(END) == count,
                    f"'{conf}': ended with {result.returncode}, printed not "
                    f"{count} reports: '{result.stderr[:300]}'")
    result = shop.run(program, "junk", preload=[shop.library], environment={
        "MALLOC_CONF": "stats_print:true,stats_print_opts:J"})
    shop.expect('"opt"' in result.stderr and BEGIN not in result.stderr and
                isinstance(json.loads(result.stderr), dict),
                f"stats_print_opts:J: '{result.stderr[:300]}'")


SUITES = {
    "messages": messages,
    "aborting": aborting,
    "message-hook": message_hook,
    "sources": sources,
    "debian": debian,
    "effects": effects,
}

if __name__ == "__main__":
    sys.exit(main(SUITES, PACKAGES, "options"))
