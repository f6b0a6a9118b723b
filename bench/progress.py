# SPDX-License-Identifier: MIT
"""progress - how far the runs are, and the time they will still take."""

import sys
import time


class Progress:
    """On a terminal one line that is overwritten; else a line now and then."""

    QUIET_S = 20            # between the lines of a file or a pipe

    def __init__(self, counts):
        """counts: {workload: number of runs}."""
        self.left = dict(counts)
        self.total = sum(counts.values())
        self.taken = {}                     # workload: (runs, seconds)
        self.live = sys.stdout.isatty()
        self.said = time.monotonic()

    def ran(self, workload, seconds):
        runs, before = self.taken.get(workload, (0, 0.0))
        self.taken[workload] = runs + 1, before + seconds
        self.left[workload] -= 1

    def dropped(self, workload, count):
        self.left[workload] -= count
        self.total -= count

    def seconds_left(self):
        """From what each workload has taken so far; unseen ones, the mean."""
        runs = sum(count for count, _ in self.taken.values())
        if not runs:
            return 0.0
        mean = sum(seconds for _, seconds in self.taken.values()) / runs
        total = 0.0
        for workload, left in self.left.items():
            count, seconds = self.taken.get(workload, (1, mean))
            total += left * seconds / count
        return total

    def say(self, text):
        now = time.monotonic()
        if not self.live and now - self.said < self.QUIET_S:
            return
        self.said = now
        done = self.total - sum(self.left.values())
        minutes, seconds = divmod(round(self.seconds_left()), 60)
        line = (f"{done:5}/{self.total}  {minutes}:{seconds:02} left  {text}")
        print(f"\r\x1b[K{line[:100]}" if self.live else line,
              end="" if self.live else "\n", flush=True)

    def note(self, text):
        """A line that stays."""
        print(("\r\x1b[K" if self.live else "") + text, flush=True)
