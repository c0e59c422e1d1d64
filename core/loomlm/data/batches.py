"""Which rows stand in which batch: a pure function of (lengths, seed, step).

There is no iterator state: any step's batch can be had at any time, on any number of processes.
Nothing is kept of an epoch but what saves work. Rows of like length stand together, so that little
is padding, and a batch has one of a small closed set of shapes. `windows.py` has the rows of a
stream of tokens, `budgets.py` batches by tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

from loomlm.contracts import Columns, Ragged
from loomlm.data.budgets import Budgeted, TokenPlan
from loomlm.data.columns import ColumnStore
from loomlm.data.orders import Kept, Order, Shuffled
from loomlm.data.plans import POOL, ROOM, BatchSize, Numbers, Plan, Pools, Shape, capped


def bucket_widths(longest: int, most: int | None = None) -> tuple[int, ...]:
    """The widths that batches take: 8, 12, 16, 24, 32, 48, ... to the first that fits all.

    most: a width that none is beyond, where all fit into it.
    """
    widths = [8]
    while widths[-1] < longest:
        power = 1 << (widths[-1].bit_length() - 1)
        widths.append(power * 3 // 2 if widths[-1] == power else power * 2)
    return capped(widths, longest, most)


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

    def plan(self, size: BatchSize, seed: int) -> Plan:
        """The batches to train on."""
        ...


class Rows(TrainingRows, Protocol):
    """A split that is read as a whole, too. bytes, words: the size of the texts in UTF-8, and their
    words by white space, where the task counts them; else 0.
    """

    @property
    def bytes(self) -> int: ...

    @property
    def words(self) -> int: ...

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        """Every row once, with the width that a batch of them needs, for evaluation and prediction.

        It may be none of `widths`: nothing is compiled for those batches.
        """
        ...


class IndexedRows(Rows, Protocol):
    """Rows that can be had in any order. span: they are named by numbers below it."""

    @property
    def span(self) -> int: ...

    def order(self, seed: int, stream: int = 0) -> Order:
        """The order in which they come in training. stream: tells orders of one seed apart."""
        ...


@define
class ExampleRows:
    """Each example is a row, or some, among rows of like length.

    most: tokens that a model can read, so that no row is padded beyond them.
    """

    store: ColumnStore
    most: int | None = None
    lengths: np.ndarray = field(init=False)

    def __attrs_post_init__(self) -> None:
        length, tokens = self.store.columns.get("length"), self.store.columns["tokens"]
        assert isinstance(tokens, Ragged)
        self.lengths = np.diff(tokens.offsets) if length is None else np.asarray(length)

    @property
    def widths(self) -> tuple[int, ...]:
        return bucket_widths(int(self.lengths.max(initial=0)), self.most)

    @property
    def bytes(self) -> int:
        return self.store.total("bytes")

    @property
    def words(self) -> int:
        return self.store.total("words")

    @property
    def examples(self) -> np.ndarray | None:
        """The number of each row's example, where a task may give one several rows."""
        found = self.store.columns.get("example")
        return None if found is None else np.asarray(found)

    @property
    def span(self) -> int:
        return len(self.lengths)

    def order(self, seed: int, stream: int = 0) -> Shuffled:
        return Shuffled(len(self.lengths), seed, stream)

    def take(self, rows: np.ndarray) -> Columns:
        return self.store.take(rows)

    def tokens(self, rows: np.ndarray) -> int:
        return int(self.lengths[rows].sum())

    def plan(self, size: BatchSize, seed: int) -> Plan:
        if size.examples is None:
            part = Budgeted(self.lengths, len(self.lengths))
            return TokenPlan.of([part], size, seed, self.most)
        return BatchPlan(self.order(seed), self.lengths, size.examples, seed, self.most)

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        for rows in in_order(self.lengths, batch_size):
            yield rows, int(self.lengths[rows].max(initial=1))


@frozen
class BatchPlan:
    """Batches of as many examples, of which those of like length stand together.

    order: of the rows; each epoch of it is one here, cut into pools that are sorted by length.
    lengths: tokens of each row, by its name. most: as of ExampleRows. An epoch has
    ceil(rows / batch_size) batches, of which one may be smaller.
    """

    order: Order
    lengths: np.ndarray = field(eq=False)
    batch_size: int
    seed: int
    most: int | None = None
    _sorted: Kept = field(factory=lambda: Kept(ROOM), init=False, eq=False, repr=False)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        return bucket_widths(int(self.lengths.max(initial=0)), self.most)

    @cached_property
    def _numbers(self) -> Numbers:
        return Numbers(self.steps_per_epoch, self.seed)

    @cached_property
    def _pools(self) -> Pools:
        return Pools(self.order, POOL * self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.order.count // self.batch_size)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple((self.batch_size, width) for width in self.widths)

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        epoch, number = self._numbers.at(step)
        pool, place = divmod(number, POOL)
        found = self._sorted.get((epoch, pool), lambda: self._by_length(epoch, pool))
        rows = found[place * self.batch_size :][: self.batch_size]
        return rows, self.width(rows)

    def _by_length(self, epoch: int, pool: int) -> np.ndarray:
        rows = self._pools.rows(epoch, pool)
        return rows[np.argsort(self.lengths[rows], kind="stable")]

    def width(self, rows: np.ndarray) -> int:
        """The narrowest width that holds the rows."""
        longest = int(self.lengths[rows].max(initial=0))
        return next(width for width in self.widths if width >= longest)


def padding(plan: Plan, rows: TrainingRows, batches: int = 128) -> float:
    """The share of a batch's places that hold no token.

    Over the first epoch, or so many batches of it.
    """
    heights = {width: height for height, width in plan.shapes}
    tokens = places = 0
    for step in range(1, min(batches, plan.steps_per_epoch or batches) + 1):
        taken, width = plan.batch(step)
        tokens += rows.tokens(taken)
        places += heights[width] * width
    return 1 - tokens / max(places, 1)


def in_order(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Every row once, by length, for evaluation and prediction."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
