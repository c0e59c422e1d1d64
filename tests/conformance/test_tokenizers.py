"""The built-in tokenizers hold to what every tokenizer promises."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from .covered import left_out

trains_unigrams = pytest.mark.skipif(
    find_spec("sentencepiece") is None,
    reason="sentencepiece, which trains unigram models, is not installed",
)


@pytest.mark.loomlm("tokenizer:bpe", lossless=True)
def test_bpe(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:bpe", keys={"vocab_size": 300, "lowercase": True})
def test_bpe_in_small_letters(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:wordpiece")
def test_wordpiece(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:wordpiece", keys={"lowercase": False, "min_frequency": 1})
def test_wordpiece_with_capital_letters(conformance):
    conformance()


@trains_unigrams
@pytest.mark.loomlm("tokenizer:unigram")
def test_unigram(conformance):
    conformance()


@trains_unigrams
@pytest.mark.loomlm("tokenizer:unigram", keys={"lowercase": True})
def test_unigram_in_small_letters(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:word")
def test_word(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:word", keys={"vocab_size": 20, "lowercase": False})
def test_word_with_few_words(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:character", lossless=True)
def test_character(conformance):
    conformance()


@pytest.mark.loomlm("tokenizer:character", lossless=True, keys={"vocab_size": 20})
def test_character_with_few_characters(conformance):
    conformance()


def test_none_is_left_out():
    assert not left_out("tokenizer", globals())
