"""Rows of a stream: the tokens of all examples end to end, cut into windows of one width.

Nothing here grows with the data: an epoch's order is a keyed permutation that is computed index
by index, and the tokens stay in their memory map.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from loomlm.contracts import Columns, Ragged

ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@frozen
class Windows:
    """A row is named by where it starts in the stream: `context` tokens and the one behind them.

    stream: (total,) token ids. Only the stream's last window, in evaluation, is shorter.
    """

    stream: np.ndarray
    context: int
    bytes: int

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.context,)

    def take(self, rows: np.ndarray) -> Columns:
        ends = np.minimum(rows + self.context + 1, len(self.stream))
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(ends - rows, out=offsets[1:])
        parts = [self.stream[start:end] for start, end in zip(rows, ends, strict=True)]
        values = np.concatenate(parts) if parts else self.stream[:0]
        return {"tokens": Ragged(values, offsets)}

    def tokens(self, rows: np.ndarray) -> int:
        return int(np.minimum(self.context, len(self.stream) - 1 - rows).sum())

    def plan(self, batch_size: int, seed: int) -> WindowPlan:
        return WindowPlan(len(self.stream), self.context, batch_size, seed)

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        starts = range(0, len(self.stream) - 1, self.context)
        for at in range(0, len(starts), batch_size):
            yield np.array(starts[at : at + batch_size], np.int64), self.context


@frozen
class WindowPlan:
    """The batches of a stream, all of them full: an epoch's rows go on where the last's ended.

    In each epoch the windows start at another phase, so that no token stands at a window's edge
    for ever, and come in an order of their own; what is left over at the ends is shorter than two
    windows.
    """

    total: int
    context: int
    batch_size: int
    seed: int

    @property
    def windows(self) -> int:
        """Windows of an epoch."""
        return max(1, (self.total - self.context) // self.context)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.windows // self.batch_size)

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        epochs, index = np.divmod(
            np.arange((step - 1) * self.batch_size, step * self.batch_size), self.windows
        )
        starts = np.empty(self.batch_size, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            phase, keys = self._drawn(int(epoch))
            starts[here] = phase + self.context * permuted(index[here], self.windows, keys)
        return starts, self.context

    def _drawn(self, epoch: int) -> tuple[int, np.ndarray]:
        """An epoch's phase and the keys of its order."""
        key = np.array([self.seed % 2**64, epoch], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        room = min(self.context, self.total - self.windows * self.context)
        return int(generator.integers(room)), generator.integers(2**63, size=ROUNDS).astype("u8")


def permuted(index: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """Where a keyed permutation of range(size) sends some indices, (n,) int64.

    A Feistel network on the next power of four, walked until it is below `size` (Black and
    Rogaway 2002).
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    found = _feistel(index.astype(np.uint64), half, keys)
    while (outside := found >= size).any():
        found[outside] = _feistel(found[outside], half, keys)
    return found.astype(np.int64)


def _feistel(values: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right + key) & mask)
    return left << half | right


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele 2014)."""
    values = values * GOLDEN
    values = (values ^ (values >> np.uint64(30))) * MIX[0]
    values = (values ^ (values >> np.uint64(27))) * MIX[1]
    return values ^ (values >> np.uint64(31))
