"""What every plan of batches is made of: how large a batch is, and which one comes when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

from loomlm.config.settings import BATCH_SIZE, TrainerConfig
from loomlm.data.orders import Kept, Order, keys_of, permuted

POOL = 64
"""Batches whose rows are computed, and sorted by length, together: wide enough to fit, narrow
enough to mix."""

ROOM = 1 << 22
"""Numbers that a plan may keep, 32 MiB."""

NUMBERS = 1 << 40
"""The stream of random numbers that the order of batches comes from; rows have those below it."""

STRETCH = 1 << 12
"""Numbers of batches, or rows of a walk, that are computed together."""


@frozen
class BatchSize:
    """How many rows a batch has: `examples`, or as many as `tokens` holds, padding included.

    One of the two is None. multiple: rows by tokens are a multiple of it, and at least that many.
    """

    examples: int | None
    tokens: int | None = None
    multiple: int = 1

    @classmethod
    def of(cls, trainer: TrainerConfig) -> BatchSize:
        """What a trainer's keys say; before it is settled, "auto" is as where nothing is said."""
        rows = BATCH_SIZE if trainer.batch_size == "auto" else trainer.batch_size
        return cls(rows, trainer.batch_tokens, trainer.accumulate)

    def rows(self, width: int) -> int:
        """The rows of a batch whose rows are padded to a width."""
        if self.examples is not None:
            return self.examples
        assert self.tokens is not None
        return max(1, self.tokens // width // self.multiple) * self.multiple


Shape = tuple[int, int]
"""Rows and width of a batch."""


def capped(widths: Sequence[int], longest: int, most: int | None) -> tuple[int, ...]:
    """The widths, none beyond `most` where the longest row is not."""
    if most is None or longest > most:
        return tuple(widths)
    return tuple(dict.fromkeys(min(width, most) for width in widths))


class Plan(Protocol):
    """The batches of a training split."""

    @property
    def steps_per_epoch(self) -> int | None:
        """Updates of one pass over the data; None where nobody knows."""
        ...

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The closed set of shapes that batches have: one for each width."""
        ...

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        """The rows of a step, counted from 1, and the width that they are padded to.

        There may be fewer rows than the shape of that width has.
        """
        ...


@define
class Numbers:
    """The batches of an epoch in an order of their own: a permutation of range(count)."""

    count: int
    seed: int
    kept: Kept = field(factory=lambda: Kept(ROOM), eq=False, repr=False)

    def at(self, step: int) -> tuple[int, int]:
        """The epoch of a step, counted from 1, and which of its batches comes then."""
        epoch, index = divmod(step - 1, self.count)
        start = index // STRETCH * STRETCH
        stop = min(start + STRETCH, self.count)
        found = self.kept.get(
            (epoch, start),
            lambda: permuted(
                np.arange(start, stop), self.count, keys_of(self.seed, epoch, NUMBERS)
            ),
        )
        return epoch, int(found[index - start])


@define
class Pools:
    """An order's rows, so many together: any pool of any epoch at once.

    An epoch that is small enough is computed as a whole, which costs less for each row.
    """

    order: Order
    size: int
    kept: Kept = field(factory=lambda: Kept(ROOM), eq=False, repr=False)

    def rows(self, epoch: int, pool: int) -> np.ndarray:
        """The rows of a pool, in their order; the last of an epoch may have fewer."""
        count = self.order.count
        start, stop = pool * self.size, min((pool + 1) * self.size, count)
        if 4 * count > self.kept.room:
            return self._walked(epoch, start, stop)
        whole = self.kept.get(epoch, lambda: self._walked(epoch, 0, count))
        return whole[start:stop]

    def _walked(self, epoch: int, start: int, stop: int) -> np.ndarray:
        first = epoch * self.order.count
        return self.order.rows(np.arange(first + start, first + stop))


@define
class Walk:
    """An order's rows as they come, by stretches that are computed together."""

    order: Order
    kept: Kept = field(factory=lambda: Kept(4 * STRETCH), eq=False, repr=False)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The rows at the positions from `start` to before `stop`."""
        first = start // STRETCH
        parts = [self._stretch(number) for number in range(first, -(-stop // STRETCH))]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole[start - first * STRETCH : stop - first * STRETCH]

    def _stretch(self, number: int) -> np.ndarray:
        positions = np.arange(number * STRETCH, (number + 1) * STRETCH)
        return self.kept.get(number, lambda: self.order.rows(positions))
