"""Scores of how likely a text is to a language model."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any

from attrs import define, field

from loomlm.plugin import Likelihood, MetricContext, NoConfig


@define
class Perplexity:
    """e to the mean loss of a token, and bits per byte, which tokenizers can be compared by.

    Bits per byte: the loss of all tokens in bits, by the size of their text in UTF-8 (Gao 2020).
    """

    config: NoConfig
    context: MetricContext
    loss: float = field(default=0.0, init=False)
    tokens: float = field(default=0.0, init=False)
    bytes: int = field(default=0, init=False)
    accepts = frozenset({"likelihood"})
    higher_is_better = False

    def update(self, likelihood: Likelihood) -> None:
        """Take in some text."""
        self.loss += likelihood.loss
        self.tokens += likelihood.tokens
        self.bytes += likelihood.bytes

    def compute(self) -> Mapping[str, Any]:
        """`perplexity` and `bits_per_byte`; without any text there is neither."""
        scores = {}
        if self.tokens:
            # A float holds e ** 709 at most.
            scores["perplexity"] = exp(min(self.loss / self.tokens, 700))
        if self.bytes:
            scores["bits_per_byte"] = self.loss / log(2) / self.bytes
        return scores
