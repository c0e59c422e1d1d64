"""Perplexity and bits per byte, against numbers counted by hand."""

from __future__ import annotations

from math import e, log

import pytest

from loomlm.plugin import Likelihood, MetricContext, NoConfig
from loomlm_metrics.likelihood import BitsPerByte, Perplexity, WordPerplexity

CONTEXT = MetricContext(labels=(), produces="likelihood")


def score(kind, *parts: Likelihood) -> dict:
    metric = kind(NoConfig(), CONTEXT)
    for part in parts:
        metric.update(part)
    return dict(metric.compute())


def test_perplexity_is_how_many_tokens_are_equally_likely():
    """Of 8 tokens that are all equally likely, each costs ln 8."""
    assert score(Perplexity, Likelihood(100 * log(8), 100, 7)) == {"perplexity": pytest.approx(8)}


def test_bits_per_byte_go_by_the_text_not_by_the_tokens():
    """10 tokens of 3 bits each, for 15 bytes of text."""
    assert score(BitsPerByte, Likelihood(10 * log(8), 10, 15)) == {
        "bits_per_byte": pytest.approx(2)
    }


def test_word_perplexity_goes_by_the_words_not_by_the_tokens():
    """10 words of 2 tokens each, all tokens of 8 equally likely: each word is one of 64."""
    found = score(WordPerplexity, Likelihood(20 * log(8), 20, 55, 10))

    assert found == {"word_perplexity": pytest.approx(64)}


def test_where_words_are_not_counted_there_is_no_score_of_them():
    assert score(WordPerplexity, Likelihood(1.0, 1, 4)) == {}


def test_texts_are_counted_by_their_size():
    parts = Likelihood(1.0, 1, 4), Likelihood(6.0, 6, 4)

    assert score(Perplexity, *parts)["perplexity"] == pytest.approx(e)
    assert score(BitsPerByte, *parts)["bits_per_byte"] == pytest.approx(7 / log(2) / 8)


def test_a_loss_beyond_all_bounds_is_still_a_number():
    assert 1e300 < score(Perplexity, Likelihood(1e9, 1, 1))["perplexity"] < float("inf")


def test_lower_is_better_and_nothing_else_is_accepted():
    for kind in (Perplexity, BitsPerByte):
        assert not kind.higher_is_better
        assert kind.accepts == {"likelihood"}
