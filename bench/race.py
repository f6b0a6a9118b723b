# SPDX-License-Identifier: MIT
"""race - who runs when: repetition, then workload, then allocator.

The order of the allocators moves on by one with each workload and each
repetition, so that none is always behind the same one.

The twin is a second copy of a peer under another name. Each workload's best
peer of the first repetition gets it, from the second repetition on: what tells
the two apart is noise, and no smaller difference means anything.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from allocator import TWIN, is_peer
from progress import Progress
from runs import FAILED, OK


class Race:
    """The whole of a measurement; run() is all there is to call."""

    def __init__(self, workplace, workloads, allocators, reps, quick):
        self.workplace = workplace
        self.workloads = workloads
        self.allocators = allocators
        self.reps = reps
        self.quick = quick
        self.twins = {}         # workload: (copy, name of the peer)
        self.first = {}         # workload: {peer: seconds of repetition 1}
        self.out_of = set()     # (workload, allocator) that failed
        has_peers = any(is_peer(one.name) for one in allocators)
        runs = reps * len(allocators) + (reps - 1 if has_peers else 0)
        self.progress = Progress({one.name: runs for one in workloads})

    def run(self, keep):
        """Gives every Run to keep(), as soon as it is there."""
        for rep in range(1, self.reps + 1):
            for index, workload in enumerate(self.workloads):
                if rep == 2:
                    self.choose_twin(workload)
                for allocator in self.order(workload, rep + index):
                    keep(self.one(workload, allocator, rep))
        self.progress.note(f"{self.progress.total} runs done")

    def order(self, workload, turn):
        field = list(self.allocators)
        if workload.name in self.twins:
            field.append(self.twins[workload.name][0])
        turn %= len(field)
        return [one for one in field[turn:] + field[:turn]
                if (workload.name, one.name) not in self.out_of]

    def one(self, workload, allocator, rep):
        start = time.monotonic()
        run = self.workplace.run(workload, allocator.path, self.quick)
        run.rep, run.allocator = rep, allocator.name
        if allocator.name == TWIN:
            run.copy_of = self.twins[workload.name][1]
        self.progress.ran(workload.name, time.monotonic() - start)
        if run.status != OK:
            self.drop(run)
        elif rep == 1 and is_peer(allocator.name):
            self.first.setdefault(workload.name, {})[allocator.name] = \
                run.seconds
        self.progress.say(f"rep {rep}  {workload.name}  {allocator.name}")
        return run

    def drop(self, run):
        """Who has failed once has failed; a crash is not run again."""
        self.out_of.add((run.workload, run.allocator))
        self.progress.dropped(run.workload, self.reps - run.rep)
        self.progress.note(f"FAILED: {run.workload} on {run.allocator}: "
                           + run.reason[:300])

    def choose_twin(self, workload):
        seconds = self.first.get(workload.name)
        if not seconds:
            self.progress.dropped(workload.name, self.expected_twins())
            return
        name = min(seconds, key=seconds.get)
        peer = next(one for one in self.allocators if one.name == name)
        self.twins[workload.name] = self.copy(peer), name

    def expected_twins(self):
        return self.reps - 1 if any(map(is_peer, self.names())) else 0

    def names(self):
        return [one.name for one in self.allocators]

    def copy(self, peer):
        """The peer under another name; glibc has no file that is preloaded."""
        if not peer.path:
            return replace(peer, name=TWIN)
        folder = self.workplace.out / "twin"
        folder.mkdir(exist_ok=True)
        path = folder / Path(peer.path).name
        shutil.copyfile(peer.path, path)
        return replace(peer, name=TWIN, path=str(path))


def prepare(workplace, workloads):
    """Makes the inputs. The workloads that can run, and runs that failed."""
    ready, failed = [], {}
    for workload in workloads:
        if workload.prepare:
            print(f"preparing {workload.name}", flush=True)
        reason = workplace.prepare(workload)
        if reason:
            failed[workload.name] = reason
            print(f"{FAILED.upper()}: {workload.name}: {reason}", flush=True)
        else:
            ready.append(workload)
    return ready, failed
