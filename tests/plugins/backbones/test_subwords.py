"""Runs of characters within words, as the mlp reads them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from loomlm_backbones.subwords import MOST

from ..whole import Words, collated, fit_context

# No run twice in a word, and none with more runs than are kept.
WORDS = ["<pad>", "walk", "walks", "talked", "stone", "wolf", "birch", "pear"]
TEXTS = st.lists(st.lists(st.integers(1, 7), max_size=9), min_size=1, max_size=5)
KEYS = {"subwords": [2, 4], "buckets": 2**22}


def spelt(text: list[int]) -> str:
    return " ".join(WORDS[token] for token in text)


def told(mlp, **keys):
    return mlp(**{**KEYS, "subwords": (2, 4), **keys}).told(Words(WORDS))


def counted(batch, row: int) -> Counter[int]:
    here = batch["subword_mask"][row] > 0
    return Counter(batch["subwords"][row][here].tolist())


@given(TEXTS, st.integers(0, 6))
def test_a_texts_runs_are_those_that_scikit_learn_counts(mlp, texts, more):
    width = max(1, *map(len, texts)) + more

    batch = told(mlp).prepare(collated(texts, width, len(texts) + 1))

    counts = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4))
    for row, text in enumerate(texts):
        if text:
            expected = counts.fit_transform([spelt(text)]).toarray()[0]
            assert sorted(counted(batch, row).values()) == sorted(expected.tolist())
        else:
            assert not counted(batch, row)
    assert not counted(batch, len(texts))


def test_words_that_share_runs_share_rows(mlp):
    batch = told(mlp).prepare(collated([[1], [2], [5]], 1))

    walk, walks, wolf = (set(counted(batch, row)) for row in range(3))
    assert {len(walk - walks), len(walk & walks)} == {3, 9}  # "k>", "lk>" and "alk>" end it
    assert len(walk & wolf) == 1  # "<w"


def test_a_long_word_keeps_so_many_runs_and_special_tokens_have_none(mlp):
    words = Words(["<pad>", "incomprehensibilities"])
    backbone = mlp(**{**KEYS, "subwords": (2, 6)}).told(words)

    batch = backbone.prepare(collated([[1], [0]], 1))

    assert len(counted(batch, 0)) == MOST
    assert not counted(batch, 1)


def test_idf_of_runs_is_scikit_learns(mlp):
    texts = [[1, 2], [2, 3, 4], [5], [6, 7, 7], [1, 6]]
    backbone = told(mlp, weighting="tfidf")
    known = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit(map(spelt, texts))

    rows, idf = backbone.fit(fit_context(texts, WORDS)).rows["subwords.idf"]

    assert len(rows) == 2**22
    never = np.log(1 + len(texts)) + 1
    found = sorted(idf[idf < np.float32(never) - 1e-4].tolist())
    assert found == pytest.approx(sorted(known.idf_.tolist()), rel=1e-6)


def test_what_runs_say_is_pooled_by_itself_and_added(mlp, engine_around):
    texts = [[1, 2, 2], [5]]
    context = fit_context(texts, WORDS)
    backbone = told(mlp, buckets=500, pooling="root")
    engine = engine_around(backbone, context)
    state = {name: np.array(array) for name, array in engine.state("model")}
    arrays = backbone.prepare(collated(texts, 3))

    expected = []
    for row, text in enumerate(texts):
        words = state["backbone.embedding.weight"][text].sum(0) / np.sqrt(len(text))
        runs = arrays["subwords"][row][arrays["subword_mask"][row] > 0]
        pooled = words + state["backbone.subwords.weight"][runs].sum(0) / np.sqrt(len(runs))
        expected.append(state["head.weight"] @ pooled + state["head.bias"])

    assert engine.forward(arrays) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("runs", [(3,), (4, 2), (2, 3, 4)])
def test_subwords_are_two_lengths(mlp, runs):
    with pytest.raises(ValueError, match="the shortest and the longest run"):
        mlp(subwords=runs)
