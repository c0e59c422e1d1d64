"""Scores of how likely a text is to a language model."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any

from attrs import define, field

from loomlm.plugin import Likelihood, MetricContext, NoConfig

MOST = 700.0
"""A mean loss from which e to it would be no float any more."""


@define
class Perplexity:
    """e to the mean loss of a token; without any token it is 0.0."""

    config: NoConfig
    context: MetricContext
    loss: float = field(default=0.0, init=False)
    tokens: float = field(default=0.0, init=False)
    accepts = frozenset({"likelihood"})
    higher_is_better = False
    beside = ("bits_per_byte", "word_perplexity")
    note = (
        "perplexity is by the run's own tokens, so it compares with that of no other vocabulary, "
        "and not with one by words; word_perplexity and bits_per_byte do compare."
    )

    def update(self, likelihood: Likelihood) -> None:
        self.loss += likelihood.loss
        self.tokens += likelihood.tokens

    def compute(self) -> Mapping[str, Any]:
        mean = self.loss / self.tokens if self.tokens else None
        return {"perplexity": exp(min(mean, MOST)) if mean is not None else 0.0}


@define
class WordPerplexity:
    """e to the loss of a word, of those that white space parts; nothing where they are not counted.

    The loss of all tokens, ends of documents too, by the words of the text: what a model of words
    is compared with, if its words are these and none of them is unknown to either.
    """

    config: NoConfig
    context: MetricContext
    loss: float = field(default=0.0, init=False)
    words: int = field(default=0, init=False)
    accepts = frozenset({"likelihood"})
    higher_is_better = False

    def update(self, likelihood: Likelihood) -> None:
        self.loss += likelihood.loss
        self.words += likelihood.words

    def compute(self) -> Mapping[str, Any]:
        if not self.words:
            return {}
        return {"word_perplexity": exp(min(self.loss / self.words, MOST))}


@define
class BitsPerByte:
    """The loss of all tokens in bits, by the size of their text in UTF-8; 0.0 without any text.

    Unlike perplexity, it can be compared between tokenizers (Gao 2020).
    """

    config: NoConfig
    context: MetricContext
    loss: float = field(default=0.0, init=False)
    bytes: int = field(default=0, init=False)
    accepts = frozenset({"likelihood"})
    higher_is_better = False

    def update(self, likelihood: Likelihood) -> None:
        self.loss += likelihood.loss
        self.bytes += likelihood.bytes

    def compute(self) -> Mapping[str, Any]:
        return {"bits_per_byte": self.loss / log(2) / self.bytes if self.bytes else 0.0}


@define
class PseudoPerplexity:
    """e to the mean loss of a hidden token, told from both sides; without any token it is 0.0.

    No perplexity: it compares with that of no model which reads from left to right, and between
    models of one vocabulary and one share of hidden tokens alone.
    """

    config: NoConfig
    context: MetricContext
    loss: float = field(default=0.0, init=False)
    tokens: float = field(default=0.0, init=False)
    accepts = frozenset({"pseudo_likelihood"})
    higher_is_better = False

    def update(self, likelihood: Likelihood) -> None:
        self.loss += likelihood.loss
        self.tokens += likelihood.tokens

    def compute(self) -> Mapping[str, Any]:
        mean = self.loss / self.tokens if self.tokens else None
        return {"pseudo_perplexity": exp(min(mean, MOST)) if mean is not None else 0.0}
