"""Which examples stand in the rows of a split: to name them where a batch of them went wrong."""

from __future__ import annotations

import numpy as np

from loomlm.data.batches import ExampleRows, TrainingRows
from loomlm.data.mixing import Mixed
from loomlm.data.packing import Packed
from loomlm.data.windows import Windows


def examples_of(split: TrainingRows, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The numbers of the examples that some rows hold, each once, in the rows' order.

    offsets: (examples + 1,), where the tokens of each begin and end in those of the whole split.
    """
    parts = split.parts if isinstance(split, Mixed) else [split]
    if all(isinstance(part, Packed) for part in parts):
        starts = _starts([part for part in parts if isinstance(part, Packed)], rows)
        return _once(_at(offsets, starts))
    if all(isinstance(part, Windows) for part in parts):
        # A row is named by where it starts in the tokens of all sources.
        (context,) = split.widths
        first = _at(offsets, rows + offsets[0])
        last = _at(offsets, np.minimum(rows + context + offsets[0], offsets[-1] - 1))
        spans = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
        numbers = np.concatenate(spans)
        return _once(numbers[np.diff(offsets)[numbers] > 0])
    numbers = numbers_of(split)
    return rows if numbers is None else _once(numbers[rows])


def numbers_of(split: TrainingRows) -> np.ndarray | None:
    """The number of each row's example, (rows,), in order; None where each example is a row."""
    parts = split.parts if isinstance(split, Mixed) else [split]
    found = [part.examples for part in parts if isinstance(part, ExampleRows)]
    numbers = [part for part in found if part is not None]
    return np.concatenate(numbers) if numbers else None


def _starts(parts: list[Packed], rows: np.ndarray) -> np.ndarray:
    """Where the documents of some rows begin; the rows of each source follow those before it."""
    ends = np.cumsum([part.span for part in parts])
    found = []
    for row in rows.tolist():
        number = int(np.searchsorted(ends, row, side="right"))
        packing = parts[number].packing
        own = row - (int(ends[number - 1]) if number else 0)
        found.append(packing.starts[packing.offsets[own] : packing.offsets[own + 1]])
    return np.concatenate(found)


def _at(offsets: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.searchsorted(offsets, places, side="right") - 1


def _once(numbers: np.ndarray) -> np.ndarray:
    _, first = np.unique(numbers, return_index=True)
    return numbers[np.sort(first)]
