"""
Goals, and figures of all rounds: as Markdown, which reads well in a terminal too,
and in a file for whoever reads the figures of several programs.
"""

import json
import operator
import os
from dataclasses import asdict, dataclass
from statistics import median
from typing import Callable

BOUNDS = {operator.ge: "at least", operator.le: "at most", operator.lt: "under",
          operator.eq: "exactly"}


@dataclass(frozen=True)
class Goal:
    path: str               # what is measured
    measure: str            # of it
    of: str                 # what the figure is a ratio to; "": it is none
    figure: Callable        # of a round
    holds: Callable         # one of BOUNDS
    limit: float
    over_rounds: Callable = median


@dataclass(frozen=True)
class Verdict:
    """A goal and what was found.  These are the fields of the results file."""
    path: str
    measure: str
    of: str
    figure: float           # over all rounds
    least: float            # of a round
    most: float
    bound: str              # one of BOUNDS
    limit: float
    met: bool

    def row(self):
        return [self.path, f"{self.measure}, of {self.of}" if self.of else self.measure,
                spread([self.least, self.figure, self.most]),
                f"{self.bound} {self.limit:g}", "ok" if self.met else "missed"]


GOAL_HEAD = ["path", "measure", "figure", "goal", ""]


def judge(goal, rounds):
    figures = [goal.figure(r) for r in rounds]
    figure = goal.over_rounds(figures)
    return Verdict(goal.path, goal.measure, goal.of, figure, min(figures),
                   max(figures), BOUNDS[goal.holds], goal.limit,
                   goal.holds(figure, goal.limit))


def conclude(verdicts, results):
    """Prints them, and adds them to the results file if one is asked for."""
    print("\nGoals\n")
    table(GOAL_HEAD, [verdict.row() for verdict in verdicts])
    if results:
        save(read(results) + verdicts, results)


def read(results):
    if not os.path.exists(results):
        return []
    with open(results) as file:
        return [Verdict(**fields) for fields in json.load(file)["verdicts"]]


def save(verdicts, results, **facts):
    with open(results, "w") as file:
        json.dump({**facts, "verdicts": [asdict(v) for v in verdicts]}, file, indent=1)
        file.write("\n")


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
