"""Near-duplicates: what is named is true, little is overlooked, and order decides."""

from __future__ import annotations

import random
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.data.near import near_duplicates
from loomlm.plugin import UsageError

pytestmark = pytest.mark.one_backend

pytest.importorskip("rensa", reason="it computes the signatures")


def shingles(text: str, words: int) -> set[tuple[str, ...]]:
    found = re.findall(r"\w+", text.casefold())
    return {tuple(found[at : at + words]) for at in range(max(len(found) - words + 1, 1))}


def similarity(one: str, other: str, words: int) -> float:
    a, b = shingles(one, words), shingles(other, words)
    return len(a & b) / len(a | b)


def expected(texts: list[str], threshold: float, words: int) -> list[int]:
    """By the definition, each text with each before it."""
    first: list[int] = []
    for row, text in enumerate(texts):
        kept = (other for other in range(row) if first[other] < 0)
        near = (o for o in kept if similarity(text, texts[o], words) >= threshold)
        first.append(next(near, -1))
    return first


def vocabulary(count: int) -> list[str]:
    return [f"w{number}" for number in range(count)]


def planted(count: int, seed: int) -> list[str]:
    """Unrelated texts, of which some come again with one to three words changed."""
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(vocabulary(500), k=draw.randint(8, 60))) for _ in range(count)]
    for source in draw.sample(range(count), count // 3):
        words = texts[source].split()
        for _ in range(draw.randint(1, 3)):
            words[draw.randrange(len(words))] = draw.choice(vocabulary(500))
        texts.append(" ".join(words))
    draw.shuffle(texts)
    return texts


@pytest.mark.parametrize(("threshold", "words"), [(0.8, 3), (0.6, 2), (0.9, 1), (0.5, 5), (1.0, 3)])
def test_planted_copies_are_found(threshold, words):
    texts = planted(600, 5)
    found = near_duplicates(texts, threshold, words=words).tolist()
    truth = expected(texts, threshold, words)
    copies = [row for row, first in enumerate(truth) if first >= 0]

    assert len(copies) > 20 or threshold == 1.0
    assert sum(found[row] >= 0 for row in copies) >= 0.98 * len(copies)
    named = [(row, first) for row, first in enumerate(found) if first >= 0]
    assert all(similarity(texts[row], texts[first], words) >= threshold for row, first in named)


WORDS = st.sampled_from(["a", "b", "B,", "c.", "\u00e9", "d-e"])
TEXTS = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=10)


@given(TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.integers(1, 3))
def test_what_is_named_is_true_and_kept(texts, threshold, words):
    found = near_duplicates(texts, threshold, words=words)

    assert found.dtype == np.int64
    for row, first in enumerate(found.tolist()):
        if first >= 0:
            assert first < row
            assert found[first] == -1
            assert similarity(texts[row], texts[first], words) >= threshold


@given(TEXTS, st.integers(0, 10))
def test_what_comes_behind_a_text_does_not_matter(texts, cut):
    whole = near_duplicates(texts, words=1)

    assert near_duplicates(texts[:cut], words=1).tolist() == whole[:cut].tolist()


def test_the_same_words_are_a_copy_whatever_the_case_and_punctuation():
    texts = ["It rained, all day long!", "Nothing else", "it RAINED all day long", "... --", "", ""]

    assert near_duplicates(texts).tolist() == [-1, -1, 0, -1, -1, -1]


def test_order_of_words_counts():
    texts = ["the dog bit the old man", "the old man bit the dog"]

    assert near_duplicates(texts, words=1).tolist() == [-1, 0]
    assert near_duplicates(texts, words=3).tolist() == [-1, -1]


def test_a_chain_of_small_changes_ends():
    """Each text is near the one before it; the last shares nothing with the first."""
    words = vocabulary(80)
    chain = [" ".join(words[step : step + 20]) for step in range(0, 60, 2)]

    assert all(similarity(one, other, 1) >= 0.8 for one, other in pairwise(chain))
    found = near_duplicates(chain, 0.8, words=1).tolist()
    assert found == expected(chain, 0.8, 1)
    assert found.count(-1) == 15


def test_the_first_texts_can_be_those_of_another_split():
    texts = ["one two three four", "one two three four", "five six seven", "one two three four"]

    assert near_duplicates(texts, kept=2).tolist() == [-1, -1, -1, 0]
    assert near_duplicates(texts).tolist() == [-1, 0, -1, 0]


def test_scripts_without_spaces_are_compared_by_their_characters():
    text = "今日は天気がとても良いので公園まで歩いて行きました"
    near, other = text.replace("公園", "学校"), "明日は雨が降るそうですから家で本を読みます"

    assert near_duplicates([text, other, near], 0.6, words=2).tolist() == [-1, -1, 0]


def test_many_equal_texts_cost_one_comparison_each(monkeypatch):
    from loomlm.data import near

    compared = []
    first_near = near._first_near
    monkeypatch.setattr(
        near, "_first_near", lambda *a: compared.append(len(a[1])) or first_near(*a)
    )
    assert near_duplicates(["the same text again and again"] * 500).tolist() == [-1] + [0] * 499
    assert sum(compared) == 499


def test_no_texts():
    assert near_duplicates([]).tolist() == []


def test_batches_do_not_matter(monkeypatch):
    texts = planted(50, 1)
    whole = near_duplicates(texts).tolist()
    monkeypatch.setattr("loomlm.data.near.BATCH", 700)
    monkeypatch.setattr("loomlm.data.near.REMEMBERED", 10)

    assert near_duplicates(texts).tolist() == whole


def test_without_the_library_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rensa", None)

    with pytest.raises(UsageError, match=r'pip install "loomlm\[data\]"'):
        near_duplicates(["a"])
