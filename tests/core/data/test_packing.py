"""Whole documents in rows: which stand together, and that none is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Ragged
from loomlm.data.packing import Packed, pack, packed_rows
from loomlm.errors import DataError

DOCUMENTS = st.lists(st.integers(0, 70), min_size=1, max_size=120)
CONTEXTS = st.integers(2, 40)


def packed(lengths: list[int], context: int) -> Packed:
    """Documents whose tokens name their own place."""
    return Packed(np.arange(sum(lengths)), np.cumsum([0, *lengths]), context, 0)


def parts_of(rows: Packed) -> list[list[list[int]]]:
    """Of each row, the tokens of its parts."""
    taken = rows.take(np.arange(rows.span))
    tokens, pieces = taken["tokens"], taken["pieces"]
    assert isinstance(tokens, Ragged)
    assert isinstance(pieces, Ragged)
    found = []
    for row in range(rows.span):
        cuts = np.cumsum(pieces[row])[:-1]
        found.append([part.tolist() for part in np.split(tokens[row], cuts)])
    return found


@given(DOCUMENTS, CONTEXTS)
def test_every_token_is_predicted_once_from_its_own_document(lengths, context):
    ends = set(np.cumsum([0, *lengths]).tolist())

    predicted = []
    for parts in parts_of(packed(lengths, context)):
        for part in parts:
            assert part == list(range(part[0], part[-1] + 1))
            assert not ends & set(part[1:])
            predicted += part[1:]

    assert sorted(predicted) == [t for t in range(sum(lengths)) if t not in ends]


@given(DOCUMENTS, CONTEXTS)
def test_a_row_is_never_longer_than_the_context_and_only_long_documents_are_cut(lengths, context):
    rows = packed(lengths, context)

    for number, parts in enumerate(parts_of(rows)):
        assert parts
        assert sum(len(part) - 1 for part in parts) <= context
        assert rows.tokens(np.array([number])) == sum(len(part) - 1 for part in parts)
    parts = sum(len(parts) for parts in parts_of(rows))
    assert parts == sum(-(-max(length - 1, 0) // context) for length in lengths)


def by_hand(sizes: list[int], context: int) -> int:
    """Rows that best fit decreasing needs, document by document."""
    rooms: list[int] = []
    for size in sorted(sizes, reverse=True):
        fitting = [room for room in rooms if room >= size]
        if fitting:
            rooms.remove(min(fitting))
            rooms.append(min(fitting) - size)
        else:
            rooms.append(context - size)
    return len(rooms)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=150), st.integers(40, 60))
def test_it_is_best_fit_decreasing(sizes, context):
    packing = pack(np.cumsum([0, *(size + 1 for size in sizes)]), context)

    assert len(packing.offsets) - 1 == by_hand(sizes, context)


@pytest.mark.parametrize(
    ("sizes", "rows"), [([7, 1, 7, 1], 2), ([4, 4, 5, 3], 2), ([8, 16, 1], 4), ([6, 5, 3, 2], 2)]
)
def test_rows_are_filled_to_the_last_place(sizes, rows):
    assert packed([size + 1 for size in sizes], 8).span == rows


def test_ordinary_documents_leave_little_room():
    lengths = np.random.default_rng(0).integers(10, 300, 3000).tolist()
    rows = packed(lengths, 256)

    filled = sum(rows.tokens(np.array([row])) for row in range(rows.span))
    assert filled / (rows.span * 256) > 0.99


def test_in_evaluation_every_row_comes_once():
    rows = packed([5] * 30, 8)

    batches = list(rows.ordered(4))

    assert np.concatenate([found for found, _ in batches]).tolist() == list(range(rows.span))
    assert {width for _, width in batches} == {8}


def test_documents_without_anything_to_predict_are_an_error():
    with pytest.raises(DataError, match="No document of the train split has two tokens"):
        packed_rows("train split", Ragged(np.arange(3), np.arange(4)), 8, 3)
