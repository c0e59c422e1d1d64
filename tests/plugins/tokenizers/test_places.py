"""Where tokens stand in their texts: for every tokenizer, whatever it makes of a text."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import Locates

from .test_tokenizers import NAMES, train

TEXTS = [
    "The quick brown fox, na\u00efve caf\u00e9 \ufb01ne!  two  spaces",
    "\n\n\u6771\u4eac \U0001f600 ok. ",
    "U.S. isn't 1990s, \uff26\uff55\uff4c\uff4c",
    "  in front",
    " \t ",
    "",
]
each = pytest.mark.parametrize("name", NAMES)


@cache
def once(name):
    return train(name, TEXTS * 4)


def pieces(tokenizer, text: str) -> list[str]:
    _, starts, ends = tokenizer.encode_spans([text])
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


@each
def test_ids_are_those_of_encode_many(name):
    tokenizer = train(name, TEXTS * 4)
    assert isinstance(tokenizer, Locates)

    ids, starts, ends = tokenizer.encode_spans(TEXTS)
    wanted = tokenizer.encode_many(TEXTS)

    assert ids.values.tolist() == wanted.values.tolist()
    assert ids.offsets.tolist() == wanted.offsets.tolist()
    assert (starts.dtype, ends.dtype) == (np.int32, np.int32)


def test_a_word_is_found_through_lowercase_and_accents():
    tokenizer = train("wordpiece", TEXTS * 4)

    assert pieces(tokenizer, "The NA\u00cfVE caf\u00e9,")[-2:] == ["caf\u00e9", ","]


def test_a_space_in_front_of_a_token_is_not_of_it():
    tokenizer = train("bpe", ["one two"] * 9)

    assert pieces(tokenizer, "one two") == ["one", "two"]
    assert "" in pieces(tokenizer, "one  two")


def test_bytes_of_a_character_have_the_whole_character():
    tokenizer = train("bpe", ["plain"] * 9)

    assert pieces(tokenizer, "a\u6771b") == ["a", "\u6771", "\u6771", "\u6771", "b"]


@each
def test_pairs_in_halves_and_halves_alone_move_no_place(name):
    tokenizer = train(name, [*TEXTS, "x y"] * 4)

    found = pieces(tokenizer, "\ud83d\ude00 x \ud800 y")

    assert found[-1] == "y"
    assert "x" in found


@each
@given(st.lists(st.text(max_size=30), max_size=4))
def test_places_rise_and_hold_no_white_space_at_their_ends(name, texts):
    ids, starts, ends = once(name).encode_spans(texts)

    for row, text in enumerate(texts):
        part = slice(ids.offsets[row], ids.offsets[row + 1])
        assert (np.diff(starts[part]) >= 0).all()
        for start, end in zip(starts[part], ends[part], strict=True):
            assert 0 <= start <= end <= len(text)
            assert text[start:end] == text[start:end].strip()
