# SPDX-License-Identifier: MIT
"""The tables of workloads: the real ones, and what is wrong with others."""
import subprocess
import tempfile
import unittest
from pathlib import Path

from table import TableError, fill, read_tables

ROOT = Path(__file__).resolve().parents[2]
ROW = '[[workload]]\nname = "a"\nstands_for = "b"\ncommand = ["true"]\n'


class Tables(unittest.TestCase):
    def read(self, *texts):
        with tempfile.TemporaryDirectory() as folder:
            for number, text in enumerate(texts):
                Path(folder, f"t{number}.toml").write_text(text)
            return read_tables(folder)

    def test_a_row(self):
        row, = self.read(ROW + 'quick = ["x", "y"]\nthreads = 2\n')
        self.assertEqual((row.group, row.name, row.threads), ("t0", "a", 2))
        self.assertEqual(row.quick, ("x", "y"))
        self.assertEqual(row.preload, "launcher")

    def test_what_is_wrong_is_named(self):
        cases = {
            "no key colour": ROW + "colour = 1\n",
            "command is missing": ROW.replace("command", "quick"),
            "command must be a list": ROW.replace('["true"]', '"true"'),
            "list of strings": ROW.replace('["true"]', "[1]"),
            "threads must be": ROW + "threads = 0\n",
            "must be a whole number": ROW + 'threads = "2"\n',
            "threads must be a whole": ROW + "threads = true\n",
            'only be "self"': ROW + 'preload = "me"\n',
            "a name is made of": ROW.replace('"a"', '"A b"'),
            "two workloads": ROW + ROW,
            "nothing else": "x = 1\n" + ROW,
            "Invalid value": "workload =\n",
        }
        for message, text in cases.items():
            with self.subTest(message), \
                    self.assertRaisesRegex(TableError, message):
                self.read(text)
        with self.assertRaisesRegex(TableError, "there is no table"):
            self.read()

    def test_places(self):
        self.assertEqual(fill(("{a}/b", "{c}"), {"a": Path("/x")}),
                         ["/x/b", "{c}"])


class Ours(unittest.TestCase):
    def test_what_they_need_is_installed(self):
        """setup.sh finds `needs` only when it is on one line."""
        listed = subprocess.run(
            ["sh", ROOT / "tools/setup.sh", "--list", "bench"], text=True,
            capture_output=True, check=True).stdout.split()
        workloads = read_tables(ROOT / "bench/workloads")
        self.assertGreater(len(workloads), 40)
        for workload in workloads:
            for package in workload.needs:
                self.assertIn(package, listed, workload.name)

    def test_their_programs_are_there(self):
        bench = ROOT / "bench"
        sources = {file.stem for folder in ("programs/*", "trace")
                   for file in bench.glob(folder + "/*.c")}
        for workload in read_tables(bench / "workloads"):
            for word in workload.command + workload.quick:
                place, slash, rest = word.partition("/")
                if place == "{programs}" and slash:
                    self.assertIn(rest, sources, workload.name)
                if place == "{bench}" and slash:
                    self.assertTrue((bench / rest).exists(), word)
