"""Which examples stand in the rows of a batch, for each kind of rows."""

from __future__ import annotations

import numpy as np

from loomlm.contracts import Ragged
from loomlm.data.batches import ExampleRows
from loomlm.data.columns import ColumnStore
from loomlm.data.mixing import Mixed
from loomlm.data.naming import examples_of
from loomlm.data.packing import Packed
from loomlm.data.windows import Windows

LENGTHS = [3, 0, 5, 2, 4, 9, 1]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
TOKENS = np.arange(OFFSETS[-1]) + 100
OWNER = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
"""Of each token, the example that it is of."""


def test_an_example_is_its_row():
    store = ColumnStore({"tokens": Ragged(TOKENS, OFFSETS)}, len(LENGTHS), {})
    rows = np.array([4, 0, 6])

    assert examples_of(ExampleRows(store), rows, OFFSETS).tolist() == [4, 0, 6]


def test_an_example_of_several_rows_is_named_once():
    numbers = np.array([0, 1, 1, 1, 2, 3, 3])
    store = ColumnStore.of({"tokens": Ragged(TOKENS, OFFSETS), "example": numbers})
    both = Mixed([ExampleRows(store.part(0, 4)), ExampleRows(store.part(4, 7))], [1.0, 1.0])

    for split in (ExampleRows(store), both):
        assert examples_of(split, np.array([6, 2, 1, 5]), OFFSETS).tolist() == [3, 1]


def test_a_window_holds_the_examples_that_its_tokens_are_of():
    split = Windows(TOKENS, 4, 0)

    for start in range(len(TOKENS) - 4):
        held = OWNER[start : start + 5]
        found = examples_of(split, np.array([start]), OFFSETS)
        assert found.tolist() == list(dict.fromkeys(held.tolist()))


def test_a_packed_row_holds_its_documents():
    split = Packed(TOKENS, OFFSETS, 6, 0)

    for row in range(split.span):
        tokens = split.take(np.array([row]))["tokens"]
        assert isinstance(tokens, Ragged)
        found = examples_of(split, np.array([row]), OFFSETS)
        assert sorted(found.tolist()) == np.unique(OWNER[tokens.values - 100]).tolist()


def test_of_several_sources_the_numbers_are_those_of_all_together():
    parts = [OFFSETS[:5], OFFSETS[4:]]
    packed = Mixed([Packed(TOKENS, offsets, 6, 0) for offsets in parts], [1.0, 2.0])
    windows = Mixed([Windows(TOKENS[o[0] : o[-1]], 3, 0) for o in parts], [1.0, 1.0])

    rows = np.arange(packed.span)
    assert set(examples_of(packed, rows, OFFSETS).tolist()) <= set(range(len(LENGTHS)))
    assert examples_of(packed, rows[-1:], OFFSETS).tolist()[0] >= 4
    assert examples_of(windows, np.array([int(OFFSETS[4])]), OFFSETS).tolist() == [4]
