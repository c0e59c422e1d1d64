"""Rows of a stream: the tokens of all examples end to end, cut into windows of one width.

Nothing here grows with the data: an epoch's order is computed index by index, and the tokens stay
in their memory map.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from attrs import frozen
from numpy.lib.stride_tricks import sliding_window_view

from loomlm.contracts import Columns, Ragged
from loomlm.data.asking import ask_for
from loomlm.data.orders import Order, by_epoch, drawn, new_keys, permuted
from loomlm.data.plans import BatchSize, Shape, Walk


@frozen
class Windows:
    """A row is named by where it starts in the stream: `context` tokens and the one behind them.

    stream: (total,) token ids. Only the stream's last window, in evaluation, is shorter.
    """

    stream: np.ndarray
    context: int
    bytes: int
    words: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.context,)

    @property
    def span(self) -> int:
        return len(self.stream)

    def order(self, seed: int, stream: int = 0) -> WindowOrder:
        return WindowOrder(len(self.stream), self.context, seed, stream)

    def take(self, rows: np.ndarray) -> Columns:
        size = self.context + 1
        ends = np.minimum(rows + size, len(self.stream))
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(ends - rows, out=offsets[1:])
        ask_for(self.stream, rows, ends)
        if offsets[-1] == len(rows) * size and len(rows):
            values = sliding_window_view(self.stream, size)[rows].reshape(-1)
        else:
            parts = [self.stream[start:end] for start, end in zip(rows, ends, strict=True)]
            values = np.concatenate(parts) if parts else self.stream[:0]
        return {"tokens": Ragged(values, offsets)}

    def tokens(self, rows: np.ndarray) -> int:
        return int(np.minimum(self.context, len(self.stream) - 1 - rows).sum())

    def plan(self, size: BatchSize, seed: int) -> WalkPlan:
        return WalkPlan(self.order(seed), self.context, size.rows(self.context))

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        starts = range(0, len(self.stream) - 1, self.context)
        for at in range(0, len(starts), batch_size):
            yield np.array(starts[at : at + batch_size], np.int64), self.context


@frozen
class WindowOrder:
    """The windows of a stream of `total` tokens, by where they start.

    In each epoch they start at another phase, so that no token stands at a window's edge for ever,
    and come in an order of their own; what is left over at the ends is shorter than two windows.
    """

    total: int
    context: int
    seed: int
    stream: int = 0

    @property
    def count(self) -> int:
        return max(1, (self.total - self.context) // self.context)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        count = self.count
        room = min(self.context, self.total - count * self.context)
        starts = np.empty(len(positions), np.int64)
        for epoch, here, index in by_epoch(positions, count):
            generator = drawn(self.seed, epoch, self.stream)
            phase = int(generator.integers(room))
            starts[here] = phase + self.context * permuted(index, count, new_keys(generator))
        return starts


@frozen
class WalkPlan:
    """Batches of rows of one width, all of them full: an epoch's rows go on where the last's ended.

    order: of the rows, each `context` tokens wide.
    """

    order: Order
    context: int
    batch_size: int

    @cached_property
    def _walk(self) -> Walk:
        return Walk(self.order)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.order.count // self.batch_size)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((self.batch_size, self.context),)

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        rows = self._walk.rows((step - 1) * self.batch_size, step * self.batch_size)
        return rows, self.context
