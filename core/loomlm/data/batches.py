"""Which rows stand in which batch: a pure function of (lengths, seed, step).

There is no iterator state: any step's batch can be had at any time, on any number of processes.
Rows of like length stand together, so that little is padding, and a batch is as wide as one of a
small closed set of widths. `windows.py` has the rows of a stream of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

from loomlm.contracts import Columns, Ragged
from loomlm.data.columns import ColumnStore

POOL = 64
"""Batches whose rows are sorted by length together: wide enough to fit, narrow enough to mix."""


def bucket_widths(longest: int) -> tuple[int, ...]:
    """The widths that batches take: 8, 12, 16, 24, 32, 48, ... to the first that fits all."""
    widths = [8]
    while widths[-1] < longest:
        power = 1 << (widths[-1].bit_length() - 1)
        widths.append(power * 3 // 2 if widths[-1] == power else power * 2)
    return tuple(widths)


class Plan(Protocol):
    """The batches of a training split."""

    @property
    def steps_per_epoch(self) -> int | None:
        """Updates of one pass over the data; None where nobody knows."""
        ...

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        """The rows of a step, counted from 1, and the width that they are padded to."""
        ...


class TrainingRows(Protocol):
    """A training split, as what trains sees it. widths: the closed set that batches may have."""

    @property
    def widths(self) -> tuple[int, ...]: ...

    def take(self, rows: np.ndarray) -> Columns:
        """The columns of some rows, in the order given."""
        ...

    def tokens(self, rows: np.ndarray) -> int:
        """How many tokens some rows hold."""
        ...

    def plan(self, batch_size: int, seed: int) -> Plan:
        """The batches to train on."""
        ...


class Rows(TrainingRows, Protocol):
    """A split that is read as a whole, too. bytes: the size of the texts in UTF-8, where the task
    counts it.
    """

    @property
    def bytes(self) -> int: ...

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        """Every row once, with the batch's width, for evaluation and prediction."""
        ...


@define
class ExampleRows:
    """Each example is a row, among rows of like length."""

    store: ColumnStore
    lengths: np.ndarray = field(init=False)

    def __attrs_post_init__(self) -> None:
        length, tokens = self.store.columns.get("length"), self.store.columns["tokens"]
        assert isinstance(tokens, Ragged)
        self.lengths = np.diff(tokens.offsets) if length is None else np.asarray(length)

    @property
    def widths(self) -> tuple[int, ...]:
        return bucket_widths(int(self.lengths.max(initial=0)))

    @property
    def bytes(self) -> int:
        return self.store.bytes

    def take(self, rows: np.ndarray) -> Columns:
        return self.store.take(rows)

    def tokens(self, rows: np.ndarray) -> int:
        return int(self.lengths[rows].sum())

    def plan(self, batch_size: int, seed: int) -> BatchPlan:
        return BatchPlan(self.lengths, batch_size, seed, self.widths)

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        widths = self.widths
        for rows in in_order(self.lengths, batch_size):
            longest = int(self.lengths[rows].max(initial=0))
            yield rows, next(width for width in widths if width >= longest)


@frozen
class BatchPlan:
    """The batches of a training split.

    lengths: (rows,) tokens of each example. Every example stands in exactly one batch of an epoch;
    an epoch has ceil(rows / batch_size) batches, of which one may be smaller.
    """

    lengths: np.ndarray = field(eq=False)
    batch_size: int
    seed: int
    widths: tuple[int, ...]
    # The epoch that was made last: saves making it again for each step, changes no answer.
    _made: dict[int, list[np.ndarray]] = field(factory=dict, init=False, eq=False, repr=False)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        epoch, index = divmod(step - 1, self.steps_per_epoch)
        rows = self._epoch(epoch)[index]
        return rows, self.width(rows)

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        if epoch not in self._made:
            self._made.clear()
            self._made[epoch] = _make_epoch(self, self.seed, epoch)
        return self._made[epoch]

    def width(self, rows: np.ndarray) -> int:
        """The narrowest width that holds the rows."""
        longest = int(self.lengths[rows].max(initial=0))
        return next(width for width in self.widths if width >= longest)


def _make_epoch(plan: BatchPlan, seed: int, epoch: int) -> list[np.ndarray]:
    key = np.array([seed % 2**64, epoch], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    order = generator.permutation(len(plan.lengths))
    size = plan.batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), POOL * size):
        pool = order[start : start + POOL * size]
        pool = pool[np.argsort(plan.lengths[pool], kind="stable")]
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    shuffled = generator.permutation(len(batches))
    return [batches[index] for index in shuffled]


def in_order(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Every row once, by length, for evaluation and prediction."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
