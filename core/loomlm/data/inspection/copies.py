"""Texts that stand in a stage's splits more than once: the same, or nearly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.data.examples import Split
from loomlm.data.inspection.counting import Counted
from loomlm.data.inspection.texts import whole_texts
from loomlm.data.near import near_duplicates

NEAR = 0.8
"""Jaccard similarity of the runs of three words, from which two texts are near copies."""


@frozen
class Copies:
    """Rows of a split that repeat a text, each with the split and row of the first that has it.

    rows: (n,). of: (n,), the first one's row. within: the split of the first one.
    """

    split: str
    within: str
    rows: NDArray[np.int64]
    of: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def same_texts(counted: Mapping[str, Counted]) -> list[Copies]:
    """Every pair of splits, and every split with itself, that has the same texts."""
    found = [Copies(name, name, *one.repeated) for name, one in counted.items()]
    names = list(counted)
    for index, name in enumerate(names):
        for earlier in names[:index]:
            found.append(_across(name, counted[name], earlier, counted[earlier]))
    return [copies for copies in found if len(copies)]


def _across(name: str, later: Counted, earlier: str, first: Counted) -> Copies:
    order = np.argsort(first.digests, kind="stable")
    known = first.digests[order]
    if not len(known):
        return Copies(name, earlier, np.zeros(0, np.int64), np.zeros(0, np.int64))
    place = np.minimum(np.searchsorted(known, later.digests), len(known) - 1)
    rows = np.flatnonzero(known[place] == later.digests)
    return Copies(name, earlier, rows, order[place[rows]])


def near_texts(splits: Mapping[str, Split], counted: Mapping[str, Counted]) -> list[Copies]:
    """The same for texts that are nearly another, without those that are the same.

    An example is a copy of the first near one before it, train coming first: each is told once.
    Raises UsageError where the library for it is not installed.
    """
    names = list(splits)
    starts = np.cumsum([0, *(len(splits[name]) for name in names)])
    digests = np.concatenate([counted[name].digests for name in names])
    first = near_duplicates(_AllTexts(list(splits.values())), NEAR)
    rows = np.flatnonzero(first >= 0)
    rows = rows[digests[rows] != digests[first[rows]]]
    later, earlier = (np.searchsorted(starts, at, side="right") - 1 for at in (rows, first[rows]))
    found = []
    for a, name in enumerate(names):
        for b in range(a + 1):
            here = rows[(later == a) & (earlier == b)]
            found.append(Copies(name, names[b], here - starts[a], first[here] - starts[b]))
    return [copies for copies in found if len(copies)]


@frozen
class _AllTexts:
    """The texts of some splits, one split behind another, as often as they are asked for."""

    splits: Sequence[Split]

    def __iter__(self) -> Iterator[str]:
        for split in self.splits:
            yield from whole_texts(split)
