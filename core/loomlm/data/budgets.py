"""Batches that hold so many tokens: rows of like length, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from attrs import field, frozen

from loomlm.data.orders import Mixing, Order, Shuffled, apportioned
from loomlm.data.plans import POOL, BatchSize, Numbers, Pools, Shape, capped

SHAPES = 8
"""The most widths: a backend that compiles has a program for each."""

GRAIN = 8
"""Widths are multiples of it: kernels like that."""

CANDIDATES = 512
"""Widths that are thought of, at most."""


@frozen
class Budgeted:
    """Rows that batches by tokens are made of.

    lengths: (rows,) tokens. taken: how many of them come in an epoch. offset: what is added to
    their numbers.
    """

    lengths: np.ndarray = field(eq=False)
    taken: int
    offset: int = 0


@frozen
class TokenPlan:
    """Batches of at most so many tokens, padding included.

    A row stands among rows that are padded to the same width, and for each width a batch has as
    many rows as fit. orders: of the rows of each width, of which one batch may be smaller. All
    batches of an epoch come in an order of their own.
    """

    orders: tuple[Order, ...]
    shapes: tuple[Shape, ...]
    seed: int

    @classmethod
    def of(
        cls, parts: Sequence[Budgeted], size: BatchSize, seed: int, most: int | None = None
    ) -> TokenPlan:
        """The plan of one source's rows, or of several that are mixed.

        Of each source, rows of each width come in their proportion. most: as of ExampleRows.
        """
        lengths = np.concatenate([part.lengths for part in parts])
        widths = capped(few_widths(lengths), int(lengths.max(initial=0)), most)
        names, counts = [], []
        for part in parts:
            bucket = np.searchsorted(widths, part.lengths)
            sizes = np.bincount(bucket, minlength=len(widths))
            by_bucket = np.argsort(bucket, kind="stable") + part.offset
            names.append(np.split(by_bucket, np.cumsum(sizes)[:-1]))
            counts.append(apportioned(part.taken, sizes.tolist()))
        orders, shapes = [], []
        for index, width in enumerate(widths):
            of_width = [
                (rows[index], taken[index]) for rows, taken in zip(names, counts, strict=True)
            ]
            order = _mixed([one for one in of_width if one[1]], seed, 1 + index * (len(parts) + 1))
            if order is not None:
                orders.append(order)
                shapes.append((size.rows(width), width))
        return cls(tuple(orders), tuple(shapes), seed)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(
            [
                -(-order.count // rows)
                for order, (rows, _) in zip(self.orders, self.shapes, strict=True)
            ]
        )

    @cached_property
    def _numbers(self) -> Numbers:
        return Numbers(self.steps_per_epoch, self.seed)

    @cached_property
    def _pools(self) -> tuple[Pools, ...]:
        both = zip(self.orders, self.shapes, strict=True)
        return tuple(Pools(order, POOL * rows) for order, (rows, _) in both)

    @property
    def steps_per_epoch(self) -> int:
        return int(self._ends[-1])

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        epoch, number = self._numbers.at(step)
        bucket = int(np.searchsorted(self._ends, number, side="right"))
        height, width = self.shapes[bucket]
        pool, place = divmod(number - (int(self._ends[bucket - 1]) if bucket else 0), POOL)
        rows = self._pools[bucket].rows(epoch, pool)
        return rows[place * height :][:height], width


def _mixed(parts: Sequence[tuple[np.ndarray, int]], seed: int, stream: int) -> Order | None:
    """The order of one width's rows; None where there are none. stream: the first of its own."""
    orders = [
        Shuffled(len(names), seed, stream + 1 + index, names)
        for index, (names, _) in enumerate(parts)
    ]
    counts = tuple(taken for _, taken in parts)
    if len(orders) == 1 and counts[0] == orders[0].count:
        return orders[0]
    return Mixing(orders, counts, (0,) * len(orders), seed, stream) if orders else None


def few_widths(lengths: np.ndarray, most: int = SHAPES) -> tuple[int, ...]:
    """At most so many widths that leave the least padding, from all multiples of 8.

    Dynamic programming over the counts of lengths; the last width holds the longest.
    """
    grain = GRAIN * max(1, -(-int(lengths.max(initial=1)) // (GRAIN * CANDIDATES)))
    steps = np.maximum(1, -(-lengths // grain))
    found, counts = np.unique(steps, return_counts=True)
    rows = np.concatenate([[0], np.cumsum(counts)])
    # places[j]: of the first j candidates, the fewest with the widths so far, the last at j - 1.
    places = np.where(rows > 0, np.inf, 0.0)
    chosen = []
    for _ in range(min(most, len(found))):
        # A width at j for all rows behind those of the first i.
        costs = places[:, None] + (rows[None, 1:] - rows[:, None]) * found
        costs[np.arange(len(rows))[:, None] > np.arange(len(found))] = np.inf
        chosen.append(costs.argmin(axis=0))
        places = np.concatenate([[0.0], costs.min(axis=0)])
    widths, end = [], len(found)
    for best in reversed(chosen):
        if end:
            widths.append(int(found[end - 1]) * grain)
            end = int(best[end - 1])
    return tuple(reversed(widths))
