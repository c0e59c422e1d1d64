"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.data.inspection.gathered import Stage

Level = Literal["pass", "warn", "fail"]

RARE = 0.001
"""Of a split's examples: what fewer than one in a thousand have changes no score that is read to a
tenth of a percent, and large sets always have some."""

BY_CLEANING = "Steps of clean that do so: `loomlm plugins show cleaner`."


@frozen
class Finding:
    """What a check found: how bad, what, where, what to do about it, and how many examples.

    where: places such as "train.csv:17", the first few. step is empty where all is well.
    """

    level: Level
    what: str
    step: str = ""
    where: tuple[str, ...] = ()
    count: int = 0
    check: str = ""
    split: str = ""


@frozen
class Check:
    """A check: its name, the group it is shown in, and what is true when it passes.

    run: gives a finding for each defect; none, or none above "pass", is a pass. applies: whether
    there is anything to look at.
    """

    name: str
    group: str
    right: str
    run: Callable[[Stage], Iterator[Finding]]
    applies: Callable[[Stage], bool] = lambda _stage: True


Rows = Sequence[int] | NDArray[np.int64]


def of_rows(
    stage: Stage, split: str, rows: Rows, what: str, step: str, level: Level = "warn"
) -> Finding:
    """A finding about some rows of a split, whose number comes before `what`."""
    total = len(stage.splits[split])
    said = f"{split}: {counted(len(rows), total)} {what}"
    return Finding(level, said, step, stage.places(split, rows), len(rows), split=split)


def unless_rare(stage: Stage, split: str, rows: Rows, what: str, step: str) -> Iterator[Finding]:
    """The same; a pass where the rows are few in many."""
    if len(rows):
        rare = len(rows) < RARE * len(stage.splits[split])
        yield of_rows(stage, split, rows, what, "" if rare else step, "pass" if rare else "warn")


def counted(count: int, total: int) -> str:
    """How many of how many, in words."""
    return f"{count:,} of {total:,} ({percent(count / max(total, 1))})"


def percent(share: float) -> str:
    """A share as people write it."""
    if 0 < share < RARE:
        return "<0.1%"
    return f"{share:.1%}".replace(".0%", "%")


def quoted(names: Any, most: int = 5) -> str:
    """Names between quotes, the first few."""
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(repr(name) for name in listed[:most]) + more
