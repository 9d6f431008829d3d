"""The table of ratios that a run prints."""

from collections.abc import Iterable
from typing import NamedTuple

from tabulate import tabulate


class Line(NamedTuple):
    """One comparison.

    Attributes:
        name: what was done, and against what.
        ours: median seconds of our side.
        other: median seconds of what it is compared with.
        ratio: one by the other; `asked` says in which sense.
        asked: the bound that we set ourselves, or nothing where a line only informs.
    """

    name: str
    ours: float
    other: float
    ratio: float
    asked: str = ""


def format_table(lines: Iterable[Line]) -> str:
    """Return the lines as one aligned table."""
    return tabulate(
        [
            (line.name, f"{line.ours:.3f}", f"{line.other:.3f}", f"{line.ratio:.2f}", line.asked)
            for line in lines
        ],
        headers=("comparison", "ours s", "other s", "ratio", "asked"),
        tablefmt="plain",
        disable_numparse=True,
        colalign=("left", "right", "right", "right", "left"),
    )
