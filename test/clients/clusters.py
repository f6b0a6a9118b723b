# SPDX-License-Identifier: MIT
"""clusters - Grid Engine: its master, and the tools that ask it."""
import re
import socket
import xml.etree.ElementTree as xml

from harness import Failure
from side import answers_on

PROGRAMS = "lib/gridengine"
RESOURCES = "usr/share/gridengine/util/resources"

BOOTSTRAP = """admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {spool}
binary_path /usr/lib/gridengine
qmaster_spool_dir {master}
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
jvm_threads 0
"""

# What the master's own status shows includes jemalloc's, if it is asked for.
CONFIGURATION = """execd_spool_dir {folder}
qmaster_params PRINT_MALLOC_INFO=true,MONITOR_TIME=0:0:01
min_uid 0
min_gid 0
loglevel log_warning
shell_start_mode posix_compliant
reporting_params accounting=true reporting=false flush_time=00:00:15 \
joblog=false sharelog=00:00:00
gid_range 20000-20100
finished_jobs 100
max_aj_instances 2000
max_aj_tasks 75000
enforce_user auto
"""

LIMITS = ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")
QUEUE = """qname main.q
hostlist localhost
seq_no 0
load_thresholds np_load_avg=1.75
suspend_thresholds NONE
nsuspend 1
suspend_interval 00:05:00
priority 0
min_cpu_interval 00:05:00
processors UNDEFINED
qtype BATCH INTERACTIVE
pe_list smp
rerun FALSE
slots 4
tmpdir /tmp
shell /bin/sh
shell_start_mode posix_compliant
notify 00:00:60
initial_state default
""" + "".join(f"{name} NONE\n" for name in (
    "ckpt_list", "prolog", "epilog", "starter_method", "suspend_method",
    "resume_method", "terminate_method", "owner_list", "user_lists",
    "xuser_lists", "subordinate_list", "complex_values", "projects",
    "xprojects", "calendar")) + "".join(
        f"{kind}_{name} INFINITY\n" for name in LIMITS for kind in "sh")

HOST = """hostname localhost
load_scaling NONE
complex_values h_vmem=64G
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""

# Times of day, and the host, which differ between the sides or machines.
NORMALISE = [(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d", "TIME"),
             (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "TIME"),
             (re.escape(socket.gethostname()), "HOST")]


def command(side, name, *words, **more):
    return side.run(
        side.in_place(f"{PROGRAMS}/{name}", *words),
        normalise=[*NORMALISE, (str(side.folder), "FOLDER")], **more)


def install(side):
    """A cell in the side's folder, as the package's script makes it."""
    master = side.folder / "master"
    common = side.folder / "default" / "common"
    master.mkdir()
    spool = f"{common};{master}"
    side.write("default/common/bootstrap",
               BOOTSTRAP.format(spool=spool, master=master))
    side.write("default/common/act_qmaster", "localhost\n")
    side.write("default/common/host_aliases",
               f"localhost {socket.gethostname()}\n")
    side.write("configuration", CONFIGURATION.format(folder=side.folder))
    side.write("queue", QUEUE)
    side.write("host", HOST)
    libraries = side.environment["LD_LIBRARY_PATH"]
    side.environment.update(
        SGE_ROOT=str(side.folder), SGE_CELL="default", SGE_ND="1",
        SGE_QMASTER_PORT=str(side.free_port()),
        SGE_EXECD_PORT=str(side.free_port()), SGE_SINGLE_LINE="1",
        LD_LIBRARY_PATH=f"{libraries}:{side.store.root}/usr/{PROGRAMS}")
    command(side, "spoolinit", "classic", "libspoolc", spool, "init")
    resources = side.store.root / RESOURCES
    for words in (("configuration", side.folder / "configuration"),
                  ("complexes", resources / "centry"),
                  ("pes", resources / "pe"),
                  ("usersets", resources / "usersets"),
                  ("adminhosts", "localhost"),
                  ("managers", "root")):
        command(side, "spooldefaults.bin", *words)


def tell(side):
    """A queue, and jobs in it that wait: nobody is there to run them."""
    command(side, "qconf", "-as", "localhost")
    command(side, "qconf", "-Ae", "host")
    command(side, "qconf", "-Aq", "queue")
    for what in ("-sq main.q", "-sql", "-spl", "-sc", "-sconf", "-sul"):
        command(side, "qconf", *what.split())
    side.write("job.sh", "sleep 1\n")
    for number in range(8):
        command(side, "qsub", "-h", "-N", f"job{number}", "-p", -number * 10,
                "-l", f"h_vmem={number + 1}G", "job.sh")
    command(side, "qsub", "-h", "-N", "many", "-t", "1-300", "-hold_jid",
            "job1,job2", "-v", "TEXT=" + "x" * 5000, "job.sh")
    command(side, "qalter", "-p", "-99", "3")
    command(side, "qdel", "2")
    command(side, "qstat")
    command(side, "qstat", "-g", "c")
    jobs = xml.fromstring(command(side, "qstat", "-xml", record=False))
    names = [job.findtext("JB_name") for job in jobs.iter("job_list")]
    if sorted(names) != sorted(["many"] + [
            f"job{number}" for number in range(8) if number != 1]):
        raise Failure(f"qstat names {names}")
    told = xml.fromstring(command(side, "qstat", "-xml", "-j", "9",
                                  record=False))
    if "x" * 5000 not in "".join(told.itertext()):
        raise Failure("qstat does not tell a job's variable")


def read_status(side):
    """The master's statistics of jemalloc, shown by a tool elsewhere."""
    report = command(
        side, "qping", "-info", "localhost",
        side.environment["SGE_QMASTER_PORT"], "qmaster", 1,
        record=False).decode()
    for part in ("___ Begin jemalloc statistics ___", "Allocated: ",
                 "Background threads: ", "Merged arenas stats:", "resident:",
                 "bins:", "large:", "extents:",
                 "--- End jemalloc statistics ---"):
        if part not in report:
            raise Failure(f"qping shows no {part!r} in\n{report[-1000:]}")
    side.record("threads", "\n".join(re.findall(r"\w+0\d\d: R", report)))


def gridengine(side):
    install(side)
    port = int(side.environment["SGE_QMASTER_PORT"])
    with side.server(side.in_place(f"{PROGRAMS}/sge_qmaster"),
                     lambda: answers_on(port)):
        tell(side)
        read_status(side)
