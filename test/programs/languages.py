# SPDX-License-Identifier: MIT
"""languages - interpreters: Python's own tests, and a script for each."""
from harness import INPUTS

# Python's own small-object allocator would hide ours.
PYTHON = {"PYTHONMALLOC": "malloc"}

# Modules that pass as root, without a network, and without a terminal;
# "module.Class" takes one class of it.
PYTHON_DATA = """test_json test_dict test_list test_set test_sort test_bytes
    test_unicode test_struct test_array test_re test_deque test_heapq
    test_collections test_itertools test_long test_memoryio test_functools
    test_descr test_ordered_dict test_format""".split()
PYTHON_BUFFERS = """test_pickle test_zlib test_bz2 test_lzma test_gzip
    test_hashlib test_memoryview test_buffer test_mmap test_ctypes test_csv
    test_xml_etree_c test_pyexpat test_tarfile""".split()
PYTHON_THREADS = """test_threading test_thread test_queue test_gc
    test_weakref""".split()
PYTHON_PROCESSES = """test_fork1 test_subprocess.POSIXProcessTestCase
    test_os""".split()


def run_python_tests(side, modules):
    # A skip's reason may name the process.
    side.run(["python3", INPUTS / "python_tests.py"] + modules, env=PYTHON,
             normalise=[(r"\bpid \d+", "pid N")])


def python3_data(side):
    run_python_tests(side, PYTHON_DATA)


def python3_buffers(side):
    run_python_tests(side, PYTHON_BUFFERS)


def python3_threads(side):
    run_python_tests(side, PYTHON_THREADS)


def python3_processes(side):
    run_python_tests(side, PYTHON_PROCESSES)


def python3_script(side):
    for environment in (PYTHON, {}):
        side.run(["python3", INPUTS / "script.py"], env=environment)


def perl(side):
    side.run(["perl", INPUTS / "script.pl"])


def ruby(side):
    side.run(["ruby", INPUTS / "script.rb"])


def lua(side):
    side.run(["lua5.4", INPUTS / "script.lua"])


def tcl(side):
    side.run(["tclsh", INPUTS / "script.tcl"])


def php(side):
    # -n: no extensions. php loads them with RTLD_DEEPBIND, so that they
    # free with libc's free what any preloaded malloc has given.
    side.run(["php", "-n", INPUTS / "script.php"],
             env={"USE_ZEND_ALLOC": "0"})


def bash(side):
    side.run(["bash", INPUTS / "script.sh"])
