# SPDX-License-Identifier: MIT
"""page - a measurement as one HTML file that needs nothing else."""

from html import escape

import chart
import summary
from allocator import KNOWN, OURS
from goals import MEMORY_MEAN_MAX, TIME_MEAN_MAX, goals_of
from results import FAILED, MEMORY, TIME

# Light and dark colour and shape of each of allocator.KNOWN, then those for
# allocators that were added.
LOOKS = (
    ("#d63a2f", "#ff7467", "circle"),
    ("#6f757d", "#a4abb4", "square"),
    ("#2a6fd0", "#6aa6f5", "up"),
    ("#00857a", "#3fc4b4", "diamond"),
    ("#b57a00", "#e2ac3c", "down"),
    ("#7a48b8", "#b893ee", "square"),
    ("#b3367f", "#ee86bf", "up"),
    ("#3c7d1e", "#84c65f", "diamond"),
    ("#8a5a3c", "#c99a7c", "down"),
)
RATIO_LOW, RATIO_HIGH = 0.25, 8     # what the dot charts can show at most


def write_page(report):
    results = report.results
    names = results.allocators
    parts = [
        header(report),
        '<div class="pair wide-left">', goals_part(report),
        standing_part(results), "</div>",
        means_part(results),
        legend(names),
        *charts_part(report),
        tables_part(report),
    ]
    body = "\n".join(part for part in parts if part)
    title = f"Benchmark of {report.about['machine']['date']}"
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width">'
            f"<title>{escape(title)}</title><style>{STYLE}{colours(names)}"
            f"</style></head><body><main>{body}</main></body></html>\n")


# -- looks --

def look(names, place):
    """The same in every report for those we know; the others share the rest."""
    if names[place] in KNOWN:
        return LOOKS[KNOWN.index(names[place])]
    others = [name for name in names if name not in KNOWN]
    rest = LOOKS[len(KNOWN):]
    return rest[others.index(names[place]) % len(rest)]


def colours(names):
    light, dark, hidden = [], [], []
    for place in range(len(names)):
        day, night, _ = look(names, place)
        light.append(f"--a{place}:{day};")
        dark.append(f"--a{place}:{night};")
        hidden.append(
            f".a{place}{{color:var(--a{place})}}"
            f"body:has(#show{place}:not(:checked)) svg .a{place}"
            "{display:none}")
    return (f":root{{{''.join(light)}}}@media(prefers-color-scheme:dark)"
            f"{{:root{{{''.join(dark)}}}}}{''.join(hidden)}")


def swatch(names, place):
    point = chart.Point(place, look(names, place)[2], 1, names[place],
                        names[place] == OURS)
    return ('<svg class="swatch" viewBox="0 0 16 16" aria-hidden="true">'
            + chart.mark(point, 8, 8) + "</svg>")


def legend(names):
    boxes = "".join(
        f'<label><input type="checkbox" id="show{place}" checked>'
        f"{swatch(names, place)}{escape(name)}</label>"
        for place, name in enumerate(names))
    return f'<nav class="legend">{boxes}</nav>'


# -- the top --

def header(report):
    about, results = report.about, report.results
    machine = about["machine"]
    facts = [f"{len(results.workloads)} workloads",
             f"{len(results.allocators)} allocators",
             f"{results.reps} interleaved repetitions",
             f"commit {machine['commit']}", machine["processor"],
             f"{machine['cores']} cores", f"kernel {machine['kernel']}"]
    quick = " (quick)" if about["quick"] else ""
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return (f"<header><h1>Benchmark{quick}, {escape(machine['date'])}</h1>"
            f'<ul class="facts">{facts}</ul></header>')


def html_table(head, rows, kind=""):
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        + "</tr>" for row in rows)
    return (f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr>'
            f"</thead><tbody>{body}</tbody></table></div>")


def goals_part(report):
    if not report.results.has_ours():
        return ""
    marks = {True: "✓ met", False: "✕ not met", None: "not measured"}
    rows = "".join(
        f"<tr><td>{escape(goal.what)}</td><td>{escape(goal.goal)}</td>"
        f"<td>{escape(goal.reached if goal.met is not None else '–')}</td>"
        f'<td class="met{goal.met}">{marks[goal.met]}</td></tr>'
        for goal in goals_of(report.results, report.latencies))
    return ('<section><h2>Goals</h2><div class="wide"><table class="goals">'
            "<thead><tr><th>what</th><th>goal</th><th>reached</th><th></th>"
            f"</tr></thead><tbody>{rows}</tbody></table></div></section>")


def standing_part(results):
    points = []
    for place, name in enumerate(results.allocators):
        time, memory = (results.mean(name, metric)[0]
                        for metric in (TIME, MEMORY))
        if time and memory:
            points.append((chart.Point(
                place, look(results.allocators, place)[2], time,
                f"{name}: time {time:.3f}, memory {memory:.3f}",
                name == OURS), memory))
    if not points:
        return ""
    return ("<section><h2>Where each stands</h2>"
            '<p class="note">1 is what one would get by picking the best peer '
            "for every workload anew; the shaded corner is the goal.</p>"
            + chart.standing_chart(points, (TIME_MEAN_MAX, MEMORY_MEAN_MAX))
            + "</section>")


def means_part(results):
    head, rows = summary.mean_rows(results)
    verdicts = ""
    if results.has_ours():
        verdicts = ("<section><h2>Verdicts</h2>"
                    + html_table(*summary.verdict_rows(results), "tight") +
                    f'<p class="note">{escape(summary.VERDICT_NOTE)}</p>'
                    "</section>")
    return ('<div class="pair wide-right"><section><h2>Means</h2>'
            + html_table(head, rows)
            + f'<p class="note">{escape(summary.MEANS_NOTE)}</p></section>'
            + verdicts + "</div>")


# -- the charts --

def charts_part(report):
    results = report.results
    ratios = [ratio for workload in results.workloads
              for name in results.allocators for metric in (TIME, MEMORY)
              if (ratio := results.ratio(workload, name, metric))]
    low = max(RATIO_LOW, min(ratios + [0.8]) / 1.05)
    high = min(RATIO_HIGH, max(ratios + [2]) * 1.05)
    scales = chart.panels(low, high)
    yield ('<h2>Every workload</h2><p class="note">To the left time, to the '
           "right peak memory, both relative to the best peer (the line at 1; "
           "smaller is better). The grey band around it is the difference "
           "between two copies of one peer. The bar through our mark is its "
           "95 % interval. ▲ won, ▼ lost, · unresolved, ✕ failed. Arrows lie "
           "beyond the scale. Point at anything for its figures.</p>")
    for group, workloads in results.by_group().items():
        rows = [row_of(report, workload) for workload in workloads]
        yield (f'<section class="chart"><h3>{escape(group)}</h3>'
               f'<div class="wide">{chart.dot_chart(rows, scales, group)}'
               "</div></section>")


def row_of(report, workload):
    stands_for = report.about["stands_for"].get(workload, "")
    return chart.Row(workload, f"{workload}: {stands_for}",
                     [cell_of(report.results, workload, metric)
                      for metric in (TIME, MEMORY)])


def cell_of(results, workload, metric):
    cell = chart.Cell(noise=results.twin_ratio(workload, metric) or 1.0)
    for place, name in enumerate(results.allocators):
        ratio = results.ratio(workload, name, metric)
        if ratio:
            value = results.middle(workload, name, metric)
            cell.points.append(chart.Point(
                place, look(results.allocators, place)[2], ratio,
                f"{name}: {ratio:.2f} of the best peer "
                f"({summary.amount(value, metric)})", name == OURS))
    # Ours is drawn last, above the others.
    cell.points.sort(key=lambda point: point.ours)
    one = results.compare(workload, metric) if results.has_ours() else None
    if one:
        cell.bounds, cell.verdict = one.bounds, one.verdict
        cell.text = f"{one.ratio:.2f}" if one.ratio else FAILED
    return cell


# -- the tables at the end --

def folded(title, content):
    return f"<details><summary>{title}</summary>{content}</details>" \
        if content else ""


def tables_part(report):
    results, about = report.results, report.about
    names = [[name, about["stands_for"].get(name, ""), results.groups[name]]
             for name in results.workloads]
    machine = about["machine"].items()
    failures = summary.failure_list(report)
    latencies = summary.latency_rows(report.latencies)
    return "".join([
        folded("Failures", f"<pre>{escape(failures)}</pre>")
        if failures else "",
        folded("Latency of single calls, in µs", html_table(*latencies)
               if latencies[1] else ""),
        folded("Time, every figure",
               html_table(*summary.ratio_rows(results, TIME))),
        folded("Peak memory, every figure",
               html_table(*summary.ratio_rows(results, MEMORY))),
        folded("What each workload stands for",
               html_table(["workload", "stands for", "group"], names, "text")),
        folded("Machine", html_table(["what", ""], machine, "text")),
    ])


STYLE = """
:root{color-scheme:light dark;--back:#fbfbf9;--card:#fff;--ink:#1d1f22;
--soft:#62666d;--faint:#e5e5e0;--line:#8b9097;--noise:#00000014;
--good:#157a3c;--bad:#c22f25;--hover:#00000009;--goal:#157a3c1f}
@media(prefers-color-scheme:dark){:root{--back:#15171a;--card:#1c1f23;
--ink:#e8e8e4;--soft:#a0a5ad;--faint:#31353b;--line:#80868f;
--noise:#ffffff1f;--good:#5ecb86;--bad:#ff8176;--hover:#ffffff0c;
--goal:#5ecb8626}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:0 0 10px}
h3{font-size:15px;margin:0 0 2px}
main>h2{margin-top:34px}
.facts{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;margin:0;
padding:0;color:var(--soft)}
.pair{display:grid;gap:18px;margin-top:18px}
@media(min-width:960px){.wide-left{grid-template-columns:3fr 2fr}
.wide-right{grid-template-columns:7fr 12fr}}
section{background:var(--card);border:1px solid var(--faint);
border-radius:10px;padding:16px 18px;min-width:0}
section.chart{margin-top:14px}
.note{color:var(--soft);font-size:13px;margin:8px 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;
font-variant-numeric:tabular-nums}
th{font-weight:600;color:var(--soft);vertical-align:bottom}
th,td{padding:4px 6px;border-bottom:1px solid var(--faint);text-align:right}
th:first-child,td:first-child,.text *,.goals *{text-align:left}
.tight th,.tight td{padding:4px 3px}
tbody tr:hover{background:var(--hover)}
.goals td:nth-child(2),.goals td:last-child{white-space:nowrap}
.metTrue{color:var(--good)}.metFalse{color:var(--bad)}
.metNone{color:var(--soft)}
.legend{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;
gap:4px 18px;background:var(--back);padding:10px 0;margin-top:18px;
border-bottom:1px solid var(--faint)}
.legend label{display:flex;align-items:center;gap:5px;cursor:pointer}
.swatch{width:17px;height:17px}
svg{width:100%;height:auto;display:block}
.chart svg{min-width:820px}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .tick,svg .axis{fill:var(--soft);font-size:11px}
svg .figure{font-variant-numeric:tabular-nums}
svg .win{fill:var(--good)}svg .loss,svg .failed{fill:var(--bad)}
svg .unresolved{fill:var(--soft)}
svg .panel{font-weight:600;fill:var(--soft)}
svg .name{fill:currentColor;font-weight:600;paint-order:stroke;
stroke:var(--card);stroke-width:3px}
.grid{stroke:var(--faint)}.best{stroke:var(--line);stroke-width:1.5}
.noise{fill:var(--noise)}.goal{fill:var(--goal)}
.back{fill:transparent}.row:hover .back{fill:var(--hover)}
.mark{fill:currentColor;stroke:var(--card);stroke-width:1.1}
.whisker{stroke:currentColor;stroke-width:2.5;opacity:.55}
details{margin-top:12px;background:var(--card);border:1px solid var(--faint);
border-radius:10px;padding:10px 18px}
summary{cursor:pointer;font-weight:600}
pre{white-space:pre-wrap;font-size:12px}
"""
