"""Whole documents together in rows of one width, by best fit decreasing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from attrs import field, frozen

from loomlm.contracts import Columns, Ragged
from loomlm.data.asking import ask_for
from loomlm.data.columns import ColumnStore, take_rows
from loomlm.data.orders import Shuffled
from loomlm.data.plans import BatchSize
from loomlm.data.windows import WalkPlan
from loomlm.errors import DataError

ALONG = ("learnt",)
"""Columns that have a value for each token, and are packed with them."""


@frozen
class Packing:
    """Which parts of documents stand in which row.

    starts: (parts,) where each part's first token stands in the stream. sizes: (parts,) how many
    places it takes: its tokens but for the last, which is only predicted. offsets: (rows + 1,);
    row i has the parts `offsets[i]:offsets[i + 1]`.
    """

    starts: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray


@frozen
class Packed:
    """A row is some documents, each with its tokens but the last; that one is only predicted.

    A document that takes more than `context` places is cut: its parts fill rows, and what is left
    stands with others. One without a token to predict stands in none.

    stream: (total,) token ids. documents: (n + 1,), where they begin and end. `take` gives `tokens`
    and `pieces`, ragged: of each row the tokens of its parts, and how many each part has, the one
    that is only predicted too; and each column of `beside`, by name: a value for each token, too.
    store: the documents themselves, where they are kept, a row each.
    """

    stream: np.ndarray
    documents: np.ndarray
    context: int
    bytes: int
    beside: Mapping[str, np.ndarray] = field(factory=dict)
    store: ColumnStore | None = None
    words: int = 0

    @cached_property
    def packing(self) -> Packing:
        """Which documents stand in which row; made once."""
        return pack(np.asarray(self.documents), self.context)

    @cached_property
    def _filled(self) -> np.ndarray:
        ends = np.concatenate([[0], np.cumsum(self.packing.sizes)])
        return np.diff(ends[self.packing.offsets])

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.context,)

    @property
    def span(self) -> int:
        return len(self._filled)

    def order(self, seed: int, stream: int = 0) -> Shuffled:
        return Shuffled(self.span, seed, stream)

    def take(self, rows: np.ndarray) -> Columns:
        starts = take_rows(Ragged(self.packing.starts, self.packing.offsets), rows)
        sizes = take_rows(Ragged(self.packing.sizes, self.packing.offsets), rows)
        assert isinstance(starts, Ragged)
        assert isinstance(sizes, Ragged)
        lengths = sizes.values.astype(np.int64) + 1
        ends = np.concatenate([[0], np.cumsum(lengths)])
        ask_for(self.stream, starts.values, starts.values + lengths)
        places = np.arange(ends[-1]) + np.repeat(starts.values - ends[:-1], lengths)
        offsets = ends[sizes.offsets]
        return {
            "tokens": Ragged(self.stream[places], offsets),
            "pieces": Ragged(lengths, sizes.offsets),
            **{name: Ragged(column[places], offsets) for name, column in self.beside.items()},
        }

    def tokens(self, rows: np.ndarray) -> int:
        return int(self._filled[rows].sum())

    def plan(self, size: BatchSize, seed: int) -> WalkPlan:
        return WalkPlan(self.order(seed), self.context, size.rows(self.context))

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        for start in range(0, self.span, batch_size):
            yield np.arange(start, min(start + batch_size, self.span)), self.context


def packed_rows(
    name: str,
    tokens: Ragged,
    context: int,
    size: int,
    words: int = 0,
    store: ColumnStore | None = None,
) -> Packed:
    """The documents of what a name says, in rows. size: of their texts, in bytes. words: of them.
    store: where all their columns are.

    Raises DataError where there is nothing to predict.
    """
    beside = {} if store is None else along(store.columns)
    rows = Packed(tokens.values, tokens.offsets, context, size, beside, store, words)
    if not rows.span:
        raise DataError(
            f"No document of the {name} has two tokens, so there is nothing to predict. "
            "Give more text."
        )
    return rows


def along(columns: Columns) -> dict[str, np.ndarray]:
    """Those of some columns that have a value for each token, end to end, by name."""
    found = {name: columns[name] for name in ALONG if name in columns}
    return {name: one.values for name, one in found.items() if isinstance(one, Ragged)}


def pack(documents: np.ndarray, context: int) -> Packing:
    """Put documents, given by where they begin and end in a stream, into rows of `context` places.

    Best fit decreasing (Johnson 1974): the longest first, each into the row that it leaves the
    least room in. It needs at most 11/9 of the fewest rows possible, and one more. A pure function
    of the lengths; documents of one length go together, so that its time grows with the number of
    lengths more than with that of documents.
    """
    begins, places = documents[:-1], np.maximum(np.diff(documents) - 1, 0)
    whole, rest = np.divmod(places, context)
    full = np.repeat(begins, whole)
    full = full + context * (np.arange(len(full)) - np.repeat(np.cumsum(whole) - whole, whole))
    some = rest > 0
    starts = np.concatenate([full, (begins + whole * context)[some]])
    sizes = np.concatenate([np.full(len(full), context), rest[some]]).astype(np.int32)
    row_of, rows = _best_fit(sizes[len(full) :], context)
    row_of = np.concatenate([np.arange(len(full)), row_of + len(full)])
    order = np.argsort(row_of, kind="stable")
    counts = np.bincount(row_of, minlength=len(full) + rows)
    return Packing(starts[order], sizes[order], np.concatenate([[0], np.cumsum(counts)]))


def _best_fit(sizes: np.ndarray, context: int) -> tuple[np.ndarray, int]:
    """The row of each size, all of 1 to `context`; and how many rows there are."""
    order = np.argsort(-sizes, kind="stable")
    counts = np.bincount(sizes, minlength=context + 1)
    row_of = np.empty(len(sizes), np.int64)
    rooms, rows, at = _Rooms(), 0, 0
    for size in np.flatnonzero(counts)[::-1].tolist():
        left = int(counts[size])
        while left:
            room = rooms.least(size)
            each = (room or context) // size
            if room:
                found = rooms.take(room, -(-left // each))
            else:
                found = np.arange(rows, rows - (-left // each))
                rows, room = rows + len(found), context
            # The last of these rows takes what is left.
            taken = min(left, each * len(found))
            row_of[order[at : at + taken]] = np.repeat(found, each)[:taken]
            last = taken - each * (len(found) - 1)
            rooms.put(room - each * size, found[:-1])
            rooms.put(room - last * size, found[-1:])
            left, at = left - taken, at + taken
    return row_of, rows


class _Rooms:
    """Rows by the room that is left in them."""

    def __init__(self) -> None:
        self._rows: defaultdict[int, list[np.ndarray]] = defaultdict(list)
        self._there = 0  # Bit r: there are rows with room r.

    def least(self, size: int) -> int:
        """The least room, of those that there are, that a size fits into; 0 for none."""
        fitting = self._there >> size << size
        return (fitting & -fitting).bit_length() - 1 if fitting else 0

    def put(self, room: int, rows: np.ndarray) -> None:
        """Add rows; those without room are full."""
        if room and len(rows):
            self._rows[room].append(rows)
            self._there |= 1 << room

    def take(self, room: int, most: int) -> np.ndarray:
        """Take away at most so many rows with a room."""
        rows = np.concatenate(self._rows.pop(room))
        self._there &= ~(1 << room)
        self.put(room, rows[most:])
        return rows[:most]
