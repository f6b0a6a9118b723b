# SPDX-License-Identifier: MIT
"""chart - drawings in SVG, as text; colours and fonts are the page's.

Everything drawn for an allocator has the class aN, N its place in the list, by
which the page colours and hides it.
"""

import math
from dataclasses import dataclass, field
from html import escape

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8)
SIZE = 4.6                  # of a mark, from its middle
SHAPES = {
    "circle": None,
    "square": ((-.85, -.85), (.85, -.85), (.85, .85), (-.85, .85)),
    "up": ((0, -1.1), (1.05, .8), (-1.05, .8)),
    "down": ((0, 1.1), (1.05, -.8), (-1.05, -.8)),
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "right": ((1.1, 0), (-.8, 1.05), (-.8, -1.05)),
}


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis: values low to high lie at first to last."""
    low: float
    high: float
    first: float
    last: float

    def at(self, value):
        value = min(max(value, self.low), self.high)
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self):
        return [tick for tick in TICKS if self.low <= tick <= self.high]


@dataclass
class Point:
    place: int              # of its allocator
    shape: str
    value: float
    title: str
    ours: bool = False


@dataclass
class Cell:
    """One workload in one panel."""
    points: list = field(default_factory=list)
    bounds: tuple = None    # the interval of ours
    noise: float = 1.0      # twin to its peer
    verdict: str = ""
    text: str = ""          # at the end: our ratio


@dataclass
class Row:
    label: str
    title: str
    cells: list


def mark(point, x, y):
    """A mark with a title that shows when one points at it."""
    size = SIZE * (1.35 if point.ours else 1)
    corners = SHAPES[point.shape]
    if corners is None:
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}">'
        end = "</circle>"
    else:
        path = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}"
                        for dx, dy in corners)
        shape, end = f'<polygon points="{path}">', "</polygon>"
    return (f'<g class="mark a{point.place}">{shape}'
            f"<title>{escape(point.title)}</title>{end}</g>")


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def line(x1, y1, x2, y2, kind):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'class="{kind}"/>')


def svg(width, height, parts, label):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(label)}">' + "\n".join(parts) + "</svg>")


# -- workloads: a row each, a panel for each metric --

LABEL_WIDTH, PANEL_WIDTH, FIGURE_WIDTH = 150, 408, 74
ROW, HEAD, FOOT = 22, 44, 6
WIDTH = LABEL_WIDTH + 2 * (PANEL_WIDTH + FIGURE_WIDTH)
PANELS = "time", "peak memory"
GLYPHS = {"win": "▲", "loss": "▼", "unresolved": "·", "failed": "✕", "": ""}


def panels(low, high):
    """The scales of the two panels."""
    step = PANEL_WIDTH + FIGURE_WIDTH
    return [Scale(low, high, LABEL_WIDTH + step * index + 10,
                  LABEL_WIDTH + step * index + PANEL_WIDTH - 10)
            for index in range(2)]


def dot_chart(rows, scales, label):
    height = HEAD + ROW * len(rows) + FOOT
    parts = [grid(*panel, height) for panel in zip(scales, PANELS)]
    parts += [dot_row(row, HEAD + ROW * index, scales)
              for index, row in enumerate(rows)]
    return svg(WIDTH, height, parts, label)


def grid(scale, title, height):
    parts = [text(scale.first, 14, title, "panel")]
    for tick in scale.ticks():
        x = scale.at(tick)
        kind = "best" if tick == 1 else "grid"
        parts.append(line(x, HEAD - 4, x, height - FOOT, kind))
        parts.append(text(x, HEAD - 10, f"{tick:g}", "tick", "middle"))
    return "".join(parts)


def dot_row(row, top, scales):
    middle = top + ROW / 2
    parts = [f'<g class="row"><rect x="0" y="{top}" width="{WIDTH}" '
             f'height="{ROW}" class="back"><title>{escape(row.title)}</title>'
             "</rect>",
             text(4, middle + 4, row.label, "label")]
    for cell, scale in zip(row.cells, scales):
        parts.append(dot_cell(cell, scale, top))
    return "".join(parts) + "</g>"


def dot_cell(cell, scale, top):
    middle = top + ROW / 2
    wide = max(cell.noise, 1 / cell.noise)
    left, right = scale.at(1 / wide), scale.at(wide)
    parts = [f'<rect x="{left:.1f}" y="{top + 3}" width="{right - left:.1f}" '
             f'height="{ROW - 6}" class="noise"/>']
    ours = [point for point in cell.points if point.ours]
    if cell.bounds and ours:
        low, high = map(scale.at, cell.bounds)
        parts.append(f'<g class="a{ours[0].place}">'
                     + line(low, middle, high, middle, "whisker") + "</g>")
    for point in cell.points:
        parts.append(mark(beyond_edge(point, scale), scale.at(point.value),
                          middle))
    kind = f"figure {cell.verdict}"
    parts.append(text(scale.last + 52, middle + 4, cell.text, kind, "end"))
    parts.append(text(scale.last + 62, middle + 4, GLYPHS[cell.verdict], kind,
                      "middle"))
    return "".join(parts)


def beyond_edge(point, scale):
    """A value off the scale becomes an arrow at its edge."""
    if point.value <= scale.high:
        return point
    return Point(point.place, "right", point.value, point.title, point.ours)


# -- allocators: where each stands in both means --

STAND_WIDTH, STAND_HEIGHT = 560, 400
STAND_MARGIN = 52


def standing_chart(points, goal):
    """points: (Point, y); goal: the corner that is to be reached."""
    high = max([1.6] + [max(point.value, y) for point, y in points]) * 1.1
    low = min([0.9] + [min(point.value, y) for point, y in points]) / 1.05
    across = Scale(low, high, STAND_MARGIN, STAND_WIDTH - 90)
    up = Scale(low, high, STAND_HEIGHT - STAND_MARGIN, 16)
    parts = [standing_goal(across, up, goal), standing_grid(across, up)]
    taken = []
    for point, y in sorted(points, key=lambda pair: pair[1]):
        at = across.at(point.value), up.at(y)
        parts.append(mark(point, *at))
        place = free_place(at, taken)
        parts.append(text(at[0] + 10, place + 4, point.title.split(":")[0],
                          f"name a{point.place}"))
    return svg(STAND_WIDTH, STAND_HEIGHT, parts,
               "Mean time and mean memory of every allocator")


def standing_goal(across, up, goal):
    right, top = across.at(goal[0]), up.at(goal[1])
    return (f'<rect x="{across.first}" y="{top:.1f}" '
            f'width="{right - across.first:.1f}" '
            f'height="{up.first - top:.1f}" class="goal">'
            f"<title>the goal: time ≤ {goal[0]:.2f}, memory ≤ {goal[1]:.2f}"
            "</title></rect>")


def standing_grid(across, up):
    parts = []
    for tick in across.ticks():
        kind = "best" if tick == 1 else "grid"
        x, y = across.at(tick), up.at(tick)
        parts.append(line(x, up.first, x, up.last, kind))
        parts.append(line(across.first, y, across.last, y, kind))
        parts.append(text(x, up.first + 16, f"{tick:g}", "tick", "middle"))
        parts.append(text(across.first - 8, y + 4, f"{tick:g}", "tick", "end"))
    parts.append(text(across.last, up.first + 38, "mean time to the oracle →",
                      "axis", "end"))
    parts.append(text(across.first, 10, "↑ mean memory to the lowest peers",
                      "axis"))
    return "".join(parts)


def free_place(at, taken):
    """A height for a label that lies on no other's."""
    x, y = at
    while any(abs(x - other_x) < 90 and abs(y - other_y) < 13
              for other_x, other_y in taken):
        y -= 3
    taken.append((x, y))
    return y
