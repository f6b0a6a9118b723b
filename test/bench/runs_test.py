# SPDX-License-Identifier: MIT
"""That the harness runs: single processes, and a whole measurement."""
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree

import process
from allocator import AllocatorError, check_loads, line_up
from race import Race
from runs import FAILED, OK, TIMEOUT, read_runs
from table import Workload

BENCH = Path(__file__).resolve().parents[2] / "bench"

TABLE = """
[[workload]]
name = "toy"
stands_for = "A test: <one> shell & its end."
command = ["sh", "-c", "exit 1"]
quick = ["sh", "-c", "echo noise; echo ops=7 live_kb=1 rss_kb=2"]

[[workload]]
name = "prepared"
stands_for = "A file that was made beforehand."
command = ["cat", "{data}/made"]
prepare = ["touch", "{data}/made"]
threads = 2
"""
BROKEN = """
[[workload]]
name = "broken"
stands_for = "What fails on Ashlar alone."
command = ["sh", "-c", "grep -c libashlar /proc/self/maps >&2 && exit 3; :"]
"""


class Place(unittest.TestCase):
    """A folder with a launcher, as the build folder has."""

    def setUp(self):
        folder = self.build / "test" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "bench").mkdir()
        subprocess.run(["gcc", "-O1", "-static", "-o",
                        self.folder / "bench" / "launch", BENCH / "launch.c"],
                       check=True)


class Process(Place):
    def run_shell(self, script, library="", **more):
        workplace = process.Workplace(self.folder, self.folder / "out", BENCH)
        return workplace.run(Workload("g", "w", "", ("sh", "-c", script),
                                      **more), str(library))

    def test_the_peak_is_the_programs_own(self):
        """Not this python's, which has ten megabytes."""
        run = self.run_shell("exit 0")
        self.assertEqual((run.status, run.reason), (OK, ""))
        self.assertLess(run.peak_kb, 5000)
        self.assertGreater(run.peak_kb, 500)
        run = self.run_shell("exec %s -c 'x = [1] * 7_000_000'"
                             % sys.executable)
        self.assertGreater(run.peak_kb, 50_000)

    def test_which_time_counts(self):
        run = self.run_shell("sleep 0.1")
        self.assertGreater(run.wall, 0.1)
        self.assertLess(run.seconds, 0.1)
        run = self.run_shell("sleep 0.1", threads=2)
        self.assertEqual(run.seconds, run.wall)
        run = self.run_shell("echo; echo seconds=2.5 peak_kb=77 colour=red")
        self.assertEqual((run.seconds, run.peak_kb), (2.5, 77))

    def test_only_the_last_line_counts(self):
        run = self.run_shell("echo ops=1; echo done")
        self.assertEqual((run.status, run.ops), (OK, None))

    def test_failures_have_reasons(self):
        for script, reason in (("echo why >&2; exit 3", "ended with 3: why"),
                               ("kill -SEGV $$", "ended with 139"),
                               ("echo seconds=fast", "cannot be read"),
                               ("echo seconds=0", "says seconds=0")):
            with self.subTest(script):
                run = self.run_shell(script)
                self.assertEqual(run.status, FAILED)
                self.assertIn(reason, run.reason)

    def test_a_library_that_is_not_loaded_is_a_failure(self):
        run = self.run_shell("exit 0", "/no/such.so")
        self.assertEqual(run.status, FAILED)
        self.assertIn("cannot be preloaded", run.reason)

    def test_the_preload_is_the_commands(self):
        script = "echo ops=$(grep -c libashlar /proc/self/maps)"
        self.assertGreater(self.run_shell(script, self.library).ops, 0)
        self.assertEqual(self.run_shell(script).status, OK)
        run = self.run_shell('[ -z "$LD_PRELOAD" ] && [ "$BENCH_PRELOAD" = x ]',
                             "x", preload="self")
        self.assertEqual(run.status, OK)

    def test_a_hang_ends_with_all_its_children(self):
        limit, process.TIMEOUT_S = process.TIMEOUT_S, 0.3
        try:
            start = time.monotonic()
            run = self.run_shell("sleep 50 & echo $! > ../child; wait")
        finally:
            process.TIMEOUT_S = limit
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(run.status, TIMEOUT)
        child = (self.folder / "out/last-run/child").read_text().strip()
        stat = Path(f"/proc/{child}/stat")
        for _ in range(100):            # it is dead at once, but who reaps it?
            if not stat.exists() or " Z " in stat.read_text():
                break
            time.sleep(0.02)
        else:
            self.fail(f"process {child} is still there")


class Allocators(Place):
    def test_who_takes_part(self):
        names = [one.name for one in line_up(
            self.folder, [f"ashlar={self.library}", f"x={self.library}"],
            ["x", "glibc", "ashlar"])]
        self.assertEqual(names, ["glibc", "ashlar", "x"])

    def test_who_cannot(self):
        (self.folder / "text.so").write_text("no library")
        for added, chosen, message in (
                (["x"], ["x"], "NAME=PATH"),
                (["twin=/x.so"], ["glibc"], "not"),
                ([], ["nobody"], "no allocator nobody"),
                (["x=/no.so"], ["x"], "there is no /no.so"),
                ([f"x={self.folder}/text.so"], ["x"], "was not loaded")):
            with self.subTest(message), \
                    self.assertRaisesRegex(AllocatorError, message):
                line_up(self.folder, added, chosen)


class Order(unittest.TestCase):
    """Repetition, workload, allocator; the order moves on each time."""

    def test_order(self):
        class Somewhere:
            out = None

        glibc = line_up("/", [], ["glibc"])[0]
        check_loads(glibc)
        field = [type(glibc)(name, "") for name in ("glibc", "p", "q")]
        workload = Workload("g", "w", "", ("true",))
        race = Race(Somewhere, [workload], field, 2, False)
        orders = [[one.name for one in race.order(workload, turn)]
                  for turn in range(3)]
        self.assertEqual(orders, [["glibc", "p", "q"], ["p", "q", "glibc"],
                                  ["q", "glibc", "p"]])
        race.first["w"] = {"glibc": 1.0, "p": 0.5, "q": 2.0}
        race.choose_twin(workload)
        self.assertEqual(race.twins["w"][1], "p")
        self.assertEqual(len(race.order(workload, 3)), 4)
        race.out_of.add(("w", "glibc"))
        self.assertEqual([one.name for one in race.order(workload, 3)],
                         ["twin", "p", "q"])


class Whole(Place):
    """A measurement from the command line to the page."""

    def bench(self, *words, status=0):
        ended = subprocess.run(
            [sys.executable, BENCH / "run.py", "--build", self.folder,
             "--tables", self.folder, "--alloc", f"ashlar={self.library}",
             "--allocators", "ashlar,glibc", *words],
            text=True, capture_output=True, check=False)
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        return ended.stdout + ended.stderr

    def out(self, name):
        return (self.folder / "bench" / name).read_text(encoding="utf-8")

    def test_all_is_well(self):
        (self.folder / "toys.toml").write_text(TABLE)
        said = self.bench("--quick", "--reps", "2")
        self.assertIn("10 runs done", said)
        runs = read_runs(self.folder / "bench" / "runs.csv")
        self.assertEqual({run.status for run in runs}, {OK})
        toys = [(run.rep, run.allocator, run.copy_of) for run in runs
                if run.workload == "toy"]
        self.assertEqual(sorted(toys), [
            (1, "ashlar", ""), (1, "glibc", ""), (2, "ashlar", ""),
            (2, "glibc", ""), (2, "twin", "glibc")])
        self.check_page()
        before = self.out("summary.md"), self.out("bench.html")
        self.bench("--from", self.folder / "bench" / "runs.csv")
        self.assertEqual((self.out("summary.md"), self.out("bench.html")),
                         before)

    def check_page(self):
        """Its drawings are well formed, and it loads nothing from anywhere."""
        page = self.out("bench.html")
        drawings = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
        self.assertGreaterEqual(len(drawings), 4)
        for drawing in drawings:
            ElementTree.fromstring(drawing)
        self.assertNotRegex(page, r"https?:|\bsrc=|@import|url\(")
        self.assertIn("A test: &lt;one&gt; shell &amp; its end.", page)

    def test_a_failure_is_told_and_others_go_on(self):
        (self.folder / "toys.toml").write_text(BROKEN)
        said = self.bench("--reps", "2", status=1)
        self.assertIn("FAILED: broken on ashlar: ended with 3", said)
        summary = self.out("summary.md")
        self.assertIn("broken on ashlar, repetition 1: failed", summary)
        runs = read_runs(self.folder / "bench" / "runs.csv")
        self.assertEqual(
            sorted(run.allocator for run in runs if run.status == OK),
            ["glibc", "glibc", "twin"])
        self.assertIn("✕", self.out("bench.html"))

    def test_bad_words_are_told(self):
        (self.folder / "toys.toml").write_text(TABLE)
        for words, message in ((["--only", "("], "--only"),
                               (["--only", "nothing"], "no workload"),
                               (["--from", "/no.csv"], "/no.csv"),
                               (["--allocators", "nobody"], "no allocator"),
                               (["--latency"], "no .*liblatency.so")):
            with self.subTest(message):
                self.assertRegex(self.bench(*words, status=1), message)


del Place
