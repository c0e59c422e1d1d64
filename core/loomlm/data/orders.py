"""In which order rows come: computed position by position, whatever came before.

An order is an endless walk over rows, epoch after epoch. Nothing here grows with the data: an
epoch's order is a keyed permutation that is computed index by index.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
VARYING = 2**32
"""The stream of `drawn` that the keys of rows come from."""
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Order(Protocol):
    """An endless walk over rows. count: rows of an epoch, at least 1."""

    @property
    def count(self) -> int: ...

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """The rows at some positions of the walk, (n,) int64, counted from 0 through all epochs."""
        ...


@frozen
class Shuffled:
    """Every row of range(count) once an epoch, in each epoch in an order of its own.

    stream: tells orders of one seed apart. names: what the rows are called, (count,); by default
    by their numbers.
    """

    count: int
    seed: int
    stream: int = 0
    names: np.ndarray | None = field(default=None, eq=False)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        found = np.empty(len(positions), np.int64)
        for epoch, here, index in by_epoch(positions, self.count):
            found[here] = permuted(index, self.count, keys_of(self.seed, epoch, self.stream))
        return found if self.names is None else self.names[found]


@frozen
class Mixing:
    """Several orders in one: so many rows of each come in an epoch, anywhere in it.

    Each is walked on from where its last epoch here ended, so that of the rows of one order none
    comes twice as long as another has not come once, but for the places within an epoch.

    counts: rows of each in an epoch. offsets: what is added to the names of each one's rows.
    """

    orders: Sequence[Order]
    counts: tuple[int, ...]
    offsets: tuple[int, ...]
    seed: int
    stream: int = 0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        ends = np.cumsum(self.counts)
        found = np.empty(len(positions), np.int64)
        for epoch, here, index in by_epoch(positions, self.count):
            place = permuted(index, self.count, keys_of(self.seed, epoch, self.stream))
            part = np.searchsorted(ends, place, side="right")
            rows = np.empty(len(place), np.int64)
            for number in np.unique(part).tolist():
                mine, count = part == number, self.counts[number]
                within = place[mine] - (ends[number] - count)
                walked = self.orders[number].rows(epoch * count + within)
                rows[mine] = walked + self.offsets[number]
            found[here] = rows
        return found


def apportioned(total: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers in the proportion of the shares, whose sum is the total.

    By largest remainder, the first of equal ones (Hamilton's method).
    """
    quotas = [total * share / sum(shares) for share in shares]
    counts = [int(quota) for quota in quotas]
    ranked = sorted(range(len(shares)), key=lambda i: (counts[i] - quotas[i], i))
    for index in ranked[: total - sum(counts)]:
        counts[index] += 1
    return tuple(counts)


def by_epoch(
    positions: np.ndarray, count: int
) -> Iterator[tuple[int, np.ndarray | slice, np.ndarray]]:
    """Positions of a walk by their epochs: the epoch, which of them those are, and where in it."""
    epochs, index = np.divmod(positions, count)
    found = np.unique(epochs).tolist()
    if len(found) == 1:
        yield found[0], slice(None), index
        return
    for epoch in found:
        here = epochs == epoch
        yield epoch, here, index[here]


def drawn(seed: int, epoch: int, stream: int = 0) -> np.random.Generator:
    """A generator of an epoch's own. stream: below 2**64; tells those of one epoch apart."""
    key = np.array([seed % 2**64, epoch], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def keys_of(seed: int, epoch: int, stream: int = 0) -> np.ndarray:
    """The keys of an epoch's permutation."""
    return new_keys(drawn(seed, epoch, stream))


def new_keys(generator: np.random.Generator) -> np.ndarray:
    """The keys of a permutation, as a generator gives them next."""
    return generator.integers(2**63, size=ROUNDS).astype("u8")


def permuted(index: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """Where a keyed permutation of range(size) sends some indices, (n,) int64.

    A Feistel network on the next power of four, walked until it is below `size` (Black and
    Rogaway 2002).
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    found = _feistel(index.astype(np.uint64), half, keys)
    outside = np.flatnonzero(found >= size)
    while len(outside):
        again = _feistel(found[outside], half, keys)
        found[outside] = again
        outside = outside[again >= size]
    return found.astype(np.int64)


def row_keys(seed: int, step: int, rows: np.ndarray) -> np.ndarray:
    """A number for each row of a step, (n,) uint64, as unlike another as if it were drawn."""
    key = drawn(seed, step, VARYING).integers(2**63, dtype=np.uint64)
    return _mixed(rows.astype(np.uint64) + key)


def uniforms(keys: np.ndarray, count: int) -> np.ndarray:
    """Numbers in [0, 1), (n, count) float64, by the keys alone, (n,) uint64."""
    places = np.arange(1, count + 1, dtype=np.uint64) * MIX[0]
    return (_mixed(keys[:, None] ^ places) >> np.uint64(11)) * 2.0**-53


def _feistel(values: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        mixed = _mixed(right + key)
        mixed &= mask
        mixed ^= left
        left, right = right, mixed
    return left << half | right


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele 2014), in place."""
    values *= GOLDEN
    values ^= values >> np.uint64(30)
    values *= MIX[0]
    values ^= values >> np.uint64(27)
    values *= MIX[1]
    values ^= values >> np.uint64(31)
    return values


@define
class Kept:
    """The arrays that were used last, `room` numbers in all: saves work, changes no answer."""

    room: int
    _arrays: OrderedDict[Hashable, np.ndarray] = field(factory=OrderedDict)
    _size: int = 0

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of a key, made where it is not kept."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        made = self._arrays[key] = make()
        self._size += made.size
        while self._size > self.room and len(self._arrays) > 1:
            self._size -= self._arrays.popitem(last=False)[1].size
        return made
