"""What the rows of a split say, until those of each example are together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.contracts import Columns, Facts, Joins, Outcome

TOGETHER = 1024
"""Examples that metrics are told of at once."""


@define
class Joining:
    """Takes in rows of a task that joins them, in any order."""

    task: Joins
    facts: Facts
    _found: dict[int, dict[int, Any]] = field(factory=dict, init=False)

    def add(self, rows: np.ndarray, columns: Columns, logits: np.ndarray) -> None:
        """Read some rows. rows: their numbers. logits: of the batch, those rows first."""
        said = self.task.read(logits[: len(rows)], columns, self.facts)
        numbers = np.asarray(columns["example"]).tolist()
        for row, number, one in zip(rows.tolist(), numbers, said, strict=True):
            self._found.setdefault(number, {})[row] = one

    def outcomes(self) -> Iterator[Outcome]:
        """What metrics compare, example by example."""
        found = list(self._examples())
        for first in range(0, len(found), TOGETHER):
            yield self.task.joined(found[first : first + TOGETHER], self.facts)

    def answers(self) -> list[dict[str, Any]]:
        """The answer for each example."""
        return [self.task.answer(said, self.facts) for said in self._examples()]

    def _examples(self) -> Iterator[list[Any]]:
        for number in sorted(self._found):
            rows = self._found[number]
            yield [rows[row] for row in sorted(rows)]
