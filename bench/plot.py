"""
A picture of verdicts: a bar for each ratio, with its goal marked and the least and
the most of a round as a thin line.
"""

import math
from dataclasses import dataclass
from typing import Callable
from xml.sax.saxutils import escape

WIDTH, MARGIN = 1120, 16
LABELS = 460                # where bars begin
BARS = 420                  # how long the longest is
ROW, BAR = 22, 12
TITLE, AXIS = 34, 24
MET, MISSED, MARK, FAINT = "#2f6f9f", "#c2571a", "#111111", "#8a8a8a"


@dataclass(frozen=True)
class Panel:
    """Ratios that share an axis."""
    title: str
    holds: Callable         # of a verdict: whether it belongs here
    logarithmic: bool = False


def is_rate(v):
    return v.measure == "rate"


def is_floor(v):
    return v.of.startswith("libcurl")


# The first that holds.
PANELS = (
    Panel("Rate, of bare libcurl's: more is better", lambda v: is_rate(v) and is_floor(v)),
    Panel("CPU, of bare libcurl's: less is better", is_floor),
    Panel("The queue", lambda v: v.path.startswith("queue")),
    Panel("Rate, times that of what else people use: more is better", is_rate, True),
    Panel("CPU, times that of what else is done: less is better", lambda v: True),
)


def draw(verdicts, facts):
    """The text of an SVG file; `facts` stand below."""
    parts = []
    y = MARGIN
    of_panel = {panel: [] for panel in PANELS}
    for verdict in verdicts:
        if verdict.of:
            of_panel[next(p for p in PANELS if p.holds(verdict))].append(verdict)
    for panel, chosen in of_panel.items():
        if chosen:
            y = draw_panel(parts, y, panel, chosen)
    parts.append(text(MARGIN, y + 18, "black line: goal; grey line: least to most of a round; "
                      "orange: missed", FAINT))
    parts.append(text(MARGIN, y + 36, "; ".join(facts), FAINT))
    height = y + 36 + MARGIN
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def draw_panel(parts, y, panel, verdicts):
    """Gives where the next may begin."""
    top = max(max(v.most, v.limit) for v in verdicts)
    ticks = decades(top) if panel.logarithmic else steps(top)

    def place(value):
        """Of a logarithmic axis 1 is the beginning: as much as the other."""
        if panel.logarithmic:
            return LABELS + BARS * math.log(max(value, 1)) / math.log(ticks[-1])
        return LABELS + BARS * value / ticks[-1]

    parts.append(text(MARGIN, y + 16, panel.title, MARK, "bold"))
    y += TITLE
    bottom = y + ROW * len(verdicts)
    for tick in ticks:
        parts.append(line(place(tick), y - 4, place(tick), bottom, "#dddddd", 1))
        parts.append(text(place(tick), bottom + 14, f"{tick:g}", FAINT, anchor="middle"))
    for verdict in verdicts:
        draw_bar(parts, y, place, verdict)
        y += ROW
    return bottom + AXIS


def draw_bar(parts, y, place, verdict):
    middle = y + ROW / 2
    parts.append(text(LABELS - 8, middle + 4, label(verdict), MARK, anchor="end"))
    parts.append(f'<rect x="{place(0):.1f}" y="{middle - BAR / 2:.1f}" height="{BAR}" '
                 f'width="{place(verdict.figure) - place(0):.1f}" '
                 f'fill="{MET if verdict.met else MISSED}"/>')
    parts.append(line(place(verdict.least), middle, place(verdict.most), middle, "#bbbbbb", 2))
    parts.append(line(place(verdict.limit), middle - BAR / 2 - 3, place(verdict.limit),
                      middle + BAR / 2 + 3, MARK, 3))
    parts.append(text(LABELS + BARS + 16, middle + 4,
                      f"{verdict.figure:.3g} ({verdict.bound} {verdict.limit:g})", MARK))


def label(verdict):
    """Without the case of the other, where that is another one: the table has it."""
    if is_floor(verdict):
        return verdict.path
    path = verdict.path.removeprefix("1000 rows a request, ")
    return f"{path}: {verdict.measure}, of {verdict.of.split(',')[0]}"


def steps(top):
    """Round numbers, from 0 to what is not less than the top."""
    step = next(s for s in (0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 1000, 10000)
                if top / s <= 6)
    return [step * i for i in range(math.ceil(top / step) + 1)]


def decades(top):
    return [10 ** i for i in range(max(1, math.ceil(math.log10(top))) + 1)]


def text(x, y, words, fill, weight="normal", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def line(x1, y1, x2, y2, stroke, width):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{stroke}" stroke-width="{width}"/>')
