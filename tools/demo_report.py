# SPDX-License-Identifier: MIT
"""demo_report - the demo's figures, gathered and set out in tables."""

import re
import statistics


class Rates:
    """What redis-benchmark measured on one server, by command and size."""

    def __init__(self):
        self.rows = {}          # (command, size, count) -> [(rate, p99)]

    def add(self, command, size, count, measured):
        self.rows.setdefault((command, size, count), []).append(measured)

    def commands(self):
        return list(dict.fromkeys(name for name, _, _ in self.rows))

    def rounds(self):
        return min(map(len, self.rows.values()))

    def per_second(self, command=None):
        """Requests over time; each row's time from its median rate."""
        count_sum = seconds_sum = 0
        for (name, _, count), measured in self.rows.items():
            if command in (None, name):
                rate = statistics.median(rate for rate, _ in measured)
                count_sum += count
                seconds_sum += count / rate
        return count_sum / seconds_sum

    def p99_ms(self, command=None):
        """Median of the 99th percentiles of all runs."""
        return statistics.median(
            p99 for (name, _, _), measured in self.rows.items()
            if command in (None, name) for _, p99 in measured)


def table(head, rows):
    """Lines of a table: texts to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = []
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [cell.rjust(width) if is_figure(rows[0][i])
                 else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines


def is_figure(cell):
    return re.fullmatch(r"[0-9.,]+", cell) is not None


def held_mib(contents):
    """Mean bytes of values over the servers; they differ by chance."""
    return statistics.mean(
        some.payload_bytes for some in contents.values()) / 2 ** 20


def result(servers, rates, before, after, wait_seconds):
    """The lines that end the demo; its main table comes last."""
    commands = rates[servers[0].name].commands()
    by_command = table(
        ["allocator"] + [f"{command.upper()}/s" for command in commands]
        + [f"{command.upper()} p99 ms" for command in commands],
        [[server.name]
         + [f"{rates[server.name].per_second(command):,.0f}"
            for command in commands]
         + [f"{rates[server.name].p99_ms(command):.3f}"
            for command in commands] for server in servers])
    overall = table(
        ["allocator", "library that served", "requests/s", "p99 ms",
         "peak RSS MiB", "after deletes MiB",
         f"after {wait_seconds} s MiB"],
        [[server.name, server.served_by,
          f"{rates[server.name].per_second():,.0f}",
          f"{rates[server.name].p99_ms():.3f}",
          f"{server.resident_mib['peak']:.1f}",
          f"{server.resident_mib['after deletes']:.1f}",
          f"{server.resident_mib['after wait']:.1f}"]
         for server in servers])
    return ["", *by_command, "",
            f"Rounds: {rates[servers[0].name].rounds()}; requests/s are "
            "from the rounds' medians, p99 is the median of all runs.",
            f"Values held: {held_mib(before):.1f} MiB, after the deletes "
            f"{held_mib(after):.1f} MiB.", "", *overall]
