# SPDX-License-Identifier: MIT
"""resolvers - BIND's server and tools, and Knot Resolver, asked by dig."""
import json
import random
import re
import signal
import urllib.request

from harness import Failure
from side import answers_on

ZONE_HEAD = """$TTL 300
@ IN SOA ns.example. host.example. 7 3600 600 86400 300
@ IN NS ns.example.
ns IN A 192.0.2.1
@ IN MX 10 mail.example.
mail IN A 192.0.2.25
long IN TXT {text}
*.wild IN A 192.0.2.99
alias IN CNAME host7.example.
"""

NAMED_CONFIGURATION = """
options {{
    directory "{folder}"; pid-file none; session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; allow-transfer {{ any; }};
}};
controls {{ }};
zone "example" {{
    type primary; file "example.zone"; allow-update {{ 127.0.0.1; }};
}};
"""


def write_zone(side, hosts):
    source = random.Random(31)
    text = " ".join('"' + "t" * 200 + '"' for _ in range(12))
    lines = [ZONE_HEAD.format(text=text)]
    for number in range(hosts):
        lines.append(f"host{number} IN A 192.0.2.{source.randrange(255)}\n"
                     f"host{number} IN AAAA 2001:db8::{number:x}\n")
    side.write("example.zone", "".join(lines))


# -- BIND --

# What a query's answer holds that is no answer: times, and dig's own id.
DIG = ("+noall", "+answer", "+authority", "+time=5", "+tries=2")


def dig(side, port, *words):
    side.tool("dig", "@127.0.0.1", "-p", port, *DIG, *words,
              normalise=[(rf"\b{port}\b", "PORT")])


def ask_named(side, port):
    for words in (("example", "SOA"), ("example", "MX"),
                  ("host5.example", "A"), ("host5.example", "AAAA"),
                  ("alias.example", "A"), ("x.wild.example", "A"),
                  ("missing.example", "A"), ("long.example", "TXT"),
                  ("long.example", "TXT", "+tcp"), ("elsewhere.test", "A"),
                  ("example", "AXFR")):
        dig(side, port, *words)
    names = "".join(f"host{number}.example A\n" for number in range(400))
    side.write("names.txt", names)
    dig(side, port, "-f", "names.txt")


def update_named(side, port):
    """Through nsupdate, which writes a journal."""
    lines = [f"server 127.0.0.1 {port}", "zone example"]
    for number in range(50):
        lines.append(f"update add new{number}.example 60 A 192.0.2.200")
        lines.append(f"update delete host{number}.example")
        if number % 10 == 9:
            lines.append("send")
    side.tool("nsupdate", data="\n".join(lines) + "\n")
    for name in ("new3.example", "host3.example", "host60.example"):
        dig(side, port, name, "A")
    dig(side, port, "example", "AXFR")


def serves(side, port):
    """The zone is loaded a little after the port answers."""
    return answers_on(port) and side.tool(
        "dig", "@127.0.0.1", "-p", port, "+short", "example", "SOA",
        record=False)


def named(side):
    port = side.free_port()
    write_zone(side, 500)
    side.write("named.conf", NAMED_CONFIGURATION.format(
        folder=side.folder, port=port))
    side.tool("named-checkconf", "named.conf")
    side.tool("named-checkzone", "example", "example.zone")
    with side.server_of("named", "-g", "-c", side.folder / "named.conf",
                        "-n", "2", ready=lambda: serves(side, port)) as process:
        ask_named(side, port)
        update_named(side, port)
        process.send_signal(signal.SIGHUP)
        ask_named(side, port)


# -- BIND's other tools --

CONTROL = """
key "control" {{ algorithm hmac-sha256; secret "{secret}"; }};
controls {{
    inet 127.0.0.1 port {port} allow {{ 127.0.0.1; }} keys {{ "control"; }};
}};
statistics-channels {{ inet 127.0.0.1 port {web}; }};
"""
SECRET = "c2VjcmV0IG9mIHRoZSBjb250cm9sIGNoYW5uZWw="


def compile_zones(side):
    """Into BIND's own format and back."""
    side.tool("named-compilezone", "-F", "raw", "-o", "zone.raw", "example",
              "example.zone")
    side.tool("named-compilezone", "-f", "raw", "-F", "text", "-o",
              "zone.text", "example", "zone.raw")
    side.record_files("zone.text")
    side.tool("named-rrchecker", "-p", data="IN MX 10 mail.example.\n")
    for name in ("tsig-keygen", "ddns-confgen"):
        side.tool(name, "-k" if name[0] == "d" else "-a",
                  "key.example" if name[0] == "d" else "hmac-sha256",
                  record=False)


def memory_of(port):
    """What named says of its memory, on its statistics' port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/v1/mem",
                                timeout=20) as answer:
        return json.load(answer)["memory"]


def check_memory_of(side, port):
    memory = memory_of(port)
    names = sorted({context["name"] for context in memory["contexts"]})
    side.record("memory contexts", " ".join(names))
    if not 0 < memory["InUse"] <= memory["TotalUse"]:
        raise Failure(f"named: {memory['InUse']} bytes in use, "
                      f"{memory['TotalUse']} ever")


def ask_with_each(side, port):
    """The same questions by each of the programs that can ask them."""
    def ask(*words, **more):
        side.tool(*words, normalise=[(rf"\b{port}\b", "PORT")], **more)
    for name in ("host7.example", "alias.example", "missing.example"):
        missing = int(name.startswith("missing"))
        ask("host", "-p", port, name, "127.0.0.1", status=missing)
        ask("nslookup", f"-port={port}", name, "127.0.0.1", status=missing)
        ask("delv", "@127.0.0.1", "-p", port, "-i", name, "A")
    questions = [f"host{number}.example" for number in range(50)]
    said = side.tool("mdig", "@127.0.0.1", "-p", port, "+short", "+vc",
                     *questions, record=False)
    side.record("mdig", b"\n".join(sorted(said.splitlines())))


def control(side, port):
    """By rndc: a zone comes, is frozen, thawed and goes."""
    def rndc(*words, **more):
        return side.tool("rndc", "-c", "rndc.conf", "-s", "127.0.0.1",
                         "-p", port, *words, **more)
    side.write("rndc.conf", 'options { default-key "control"; };\n'
               'key "control" { algorithm hmac-sha256; '
               f'secret "{SECRET}"; }};\n')
    status = rndc("status", record=False).decode()
    side.record("status", "\n".join(
        re.findall(r"^(?:number of zones|server is|worker).*", status, re.M)))
    for round_number in range(20):
        rndc("addzone", f"new{round_number}.test",
             '{ type primary; file "example.zone"; };')
    for words in (("freeze", "example"), ("thaw", "example"), ("flush",),
                  ("reload",), ("zonestatus", "new3.test")):
        rndc(*words, record=words[0] != "zonestatus")
    for round_number in range(20):
        rndc("delzone", f"new{round_number}.test")
    rndc("stats")
    rndc("dumpdb", "-zones")


def named_tools(side):
    port, steering, web = (side.free_port() for _ in range(3))
    write_zone(side, 100)
    side.write("named.conf", NAMED_CONFIGURATION.replace(
        "controls {{ }};", CONTROL).replace(
        "recursion no;", "recursion no; allow-new-zones yes;").format(
            folder=side.folder, secret=SECRET, web=web, port="{port}").replace(
                "listen-on port {port}", f"listen-on port {port}").replace(
                    "{port}", str(steering)))
    compile_zones(side)
    with side.server_of("named", "-g", "-c", side.folder / "named.conf",
                        "-n", "2", ready=lambda: serves(side, port)):
        ask_with_each(side, port)
        check_memory_of(side, web)
        control(side, steering)
        ask_with_each(side, port)
        check_memory_of(side, web)


def dnssec(side):
    """Keys differ in each run, so it is the tools' verdicts that are equal."""
    write_zone(side, 200)
    keys = []
    for flags in ((), ("-f", "KSK")):
        name = side.tool("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256",
                         *flags, "example", record=False).decode().strip()
        if not re.fullmatch(r"Kexample\.\+013\+\d+", name):
            raise Failure(f"dnssec-keygen made {name!r}")
        keys.append(name)
        side.tool("dnssec-dsfromkey", name, record=False)
    zone = (side.folder / "example.zone").read_text(encoding="utf-8")
    side.write("example.zone", zone + "".join(
        f"$INCLUDE {key}.key\n" for key in keys))
    side.tool("dnssec-signzone", "-N", "keep", "-o", "example", "-3", "ABCD",
              "-H", "1", "example.zone", record=False)
    side.tool("dnssec-verify", "-o", "example", "example.zone.signed",
              normalise=[(r"\(?tag \d+\)?|key \d+|/\d+\b", "KEY")])
    side.tool("named-checkzone", "-i", "full", "example",
              "example.zone.signed", normalise=[(r"serial \d+", "serial")])


# -- Knot Resolver --

KNOT_CONFIGURATION = """
net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
trust_anchors.remove('.')
modules.load('hints > iterate')
modules.load('policy')
cache.size = 10 * MB
hints.ttl(60)
for number = 0, 299 do
    hints.set('host' .. number .. '.test.example 192.0.2.' .. number % 250)
end
policy.add(policy.suffix(policy.DENY_MSG('no such place'),
                         {{ todname('denied.example.') }}))
"""


def knot(side):
    """It has a malloc_conf of its own: narenas:1."""
    port = side.free_port()
    side.write("kresd.conf", KNOT_CONFIGURATION.format(port=port))
    (side.folder / "work").mkdir()
    command = side.in_place("kresd", "-n", "-c", side.folder / "kresd.conf",
                            side.folder / "work")
    with side.server(command, lambda: answers_on(port)):
        for words in (("host7.test.example", "A"),
                      ("host8.test.example", "A", "+tcp"),
                      ("denied.example", "A"), ("a.denied.example", "TXT"),
                      ("-x", "192.0.2.7")):
            dig(side, port, *words)
        names = "".join(f"host{number}.test.example A\n"
                        for number in range(300))
        side.write("names.txt", names)
        for _ in range(5):
            dig(side, port, "-f", "names.txt")
