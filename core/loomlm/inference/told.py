"""What was predicted of each example, beside what is right, as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.contracts import Outcome
from loomlm.data.examples import Split
from loomlm.errors import UsageError
from loomlm.storage.commit import replacing


@define
class Told:
    """Takes in outcomes as they come, and gives them in the order of the split.

    labels: names in the order of their ids, () where answers are no labels.
    """

    labels: Sequence[str]
    _found: dict[int, dict[str, Any]] = field(factory=dict)

    def see(self, rows: np.ndarray, outcome: Outcome) -> None:
        """Take in the outcome of some rows, (n,)."""
        pairs = zip(rows.tolist(), outcome.predictions, outcome.references, strict=False)
        for row, prediction, reference in pairs:
            self._found[row] = {
                "prediction": self._plain(prediction),
                "reference": self._plain(reference),
            }

    def save(self, path: Path, split: Split) -> None:
        """Write a line for each example: its texts, what was predicted, what is right.

        Raises UsageError for a task that predicts nothing of an example.
        """
        if not self._found:
            raise UsageError("The task predicts nothing of an example, so there is no --output.")
        with replacing(path) as file:
            for line in self._lines(split):
                file.write(_json(line) + "\n")

    def _lines(self, split: Split) -> Iterator[dict[str, Any]]:
        # Where rows are no examples, they stand alone.
        if len(self._found) != len(split):
            yield from (self._found[row] for row in sorted(self._found))
            return
        for row, example in enumerate(split.examples()):
            yield {"text": example.text, **example.extra, **self._found[row]}

    def _plain(self, value: Any) -> Any:
        """An answer as JSON: labels by their names, sets of labels as lists."""
        if isinstance(value, str):
            return value
        if isinstance(value, np.ndarray) and value.ndim:
            if len(value) == len(self.labels) and set(np.unique(value).tolist()) <= {0, 1}:
                return [label for label, given in zip(self.labels, value, strict=True) if given]
            return [self._plain(one) for one in value]
        if isinstance(value, list | tuple):
            return [self._plain(one) for one in value]
        if isinstance(value, int | np.integer) and self.labels:
            return self.labels[int(value)]
        return value.item() if isinstance(value, np.generic) else value


def _json(line: dict[str, Any]) -> str:
    """A line of JSON; half a surrogate pair, which UTF-8 cannot write, as JSON's own escape."""
    text = json.dumps(line, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(line)
    return text
