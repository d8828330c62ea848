"""Figures of all rounds, as Markdown, which reads well in a terminal too."""

from dataclasses import dataclass
from statistics import median
from typing import Callable


@dataclass(frozen=True)
class Goal:
    text: str
    figure: Callable        # of a round
    holds: Callable
    limit: float
    over_rounds: Callable = median


def judge(goal, rounds):
    value = goal.over_rounds([goal.figure(r) for r in rounds])
    return f"{value:.4g} {'ok' if goal.holds(value, goal.limit) else 'missed'}"


def spread(values):
    """The median, with the least and the most."""
    low, middle, high = min(values), median(values), max(values)
    if low == high:
        return f"{middle:.3g}"
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def table(head, rows):
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        print("|", " | ".join(cells), "|")
