"""How the next token is chosen from a model's logits, and what a user may ask for.

What is drawn depends on the logits, the seed, the row and how many tokens there are already, so the
same model says the same on every machine that computes the same logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, TypedDict

import numpy as np
from attrs import define, field, frozen

from loomlm.contracts import Tokenizer
from loomlm.errors import UsageError

TEMPERATURE = 0.8
"""Where none is given: below 1, the tail of unlikely tokens, which small models have too much of,
counts less."""


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@frozen(kw_only=True)
class Decoding:
    """How text is written. Raises UsageError for what cannot be.

    max_tokens: the most new tokens. temperature: the logits are divided by it; 0 takes the
    likeliest token. top_k: only so many of the likeliest. top_p: only the likeliest that together
    have this probability, after top_k (Holtzman 2020). seed: of what is drawn. beams: above 1,
    beam search with so many, which draws nothing. length_penalty: of beam search; the sum of the
    logarithms of a text's tokens is divided by (number of tokens) ** length_penalty, as in
    Hugging Face's `generate`: 1 compares means, 0 sums, which favour short texts; more favours
    longer ones. (Wu 2016 divides by ((5 + tokens) / 6) ** length_penalty.) stop: texts at which
    what is written ends; they are no part of it.
    """

    max_tokens: int = 200
    temperature: float = TEMPERATURE
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    beams: int = 1
    length_penalty: float = 1.0
    stop: tuple[str, ...] = field(default=(), converter=_texts)

    def __attrs_post_init__(self) -> None:
        _check("max_tokens", self.max_tokens, self.max_tokens >= 1, "1 or more")
        warm = isfinite(self.temperature) and self.temperature >= 0
        _check("temperature", self.temperature, warm, "0 or more; 0 takes the likeliest token")
        if self.top_k is not None:
            _check("top_k", self.top_k, self.top_k >= 1, "1 or more")
        if self.top_p is not None:
            _check("top_p", self.top_p, 0 < self.top_p <= 1, "above 0, and 1 at most")
        _check("beams", self.beams, self.beams >= 1, "1 or more")
        if self.beams > 1 and (self.top_k, self.top_p) != (None, None):
            raise UsageError("Beam search draws nothing: give beams, or top_k and top_p.")
        finite = isfinite(self.length_penalty)
        _check("length_penalty", self.length_penalty, finite, "a finite number, such as 1.0")
        _check("stop", self.stop, all(self.stop), "a text, or several, of a character or more")


class HowToWrite(TypedDict, total=False):
    """The keywords of `Decoding`, for functions that hand them on."""

    max_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    beams: int
    length_penalty: float
    stop: str | Sequence[str]


@define
class Written:
    """The new tokens of a row, without the end token.

    log: the sum of the logarithms of their probabilities to the model, whatever the temperature.
    count: of how many tokens, the end token among them.
    """

    tokens: list[int] = field(factory=list)
    log: float = 0.0
    count: int = 0

    @property
    def score(self) -> float:
        """The mean logarithm of a token's probability; 0.0 without any token."""
        return self.log / self.count if self.count else 0.0


def _check(name: str, value: Any, right: bool, bounds: str) -> None:
    if not right:
        raise UsageError(f"{name} = {value} cannot be; it is {bounds}.")


def choose(logits: np.ndarray, decoding: Decoding, index: int, rows: np.ndarray) -> np.ndarray:
    """The token with this index of some rows, (rows,) int32, from logits (rows, outputs).

    rows: the rows' numbers; each draws its own, whoever stands beside it.
    """
    if decoding.temperature == 0:
        return logits.argmax(axis=1).astype(np.int32)
    order = np.argsort(-logits, axis=1, kind="stable")
    ranked = np.take_along_axis(logits, order, axis=1).astype(np.float64)
    reached = np.cumsum(_odds(ranked, decoding), axis=1)
    drawn = _drawn(decoding.seed, index, int(rows.max()) + 1)[rows]
    place = (reached > drawn[:, None] * reached[:, -1:]).argmax(axis=1)
    return np.take_along_axis(order, place[:, None], axis=1)[:, 0].astype(np.int32)


def _odds(ranked: np.ndarray, decoding: Decoding) -> np.ndarray:
    """What each token counts in the draw, from logits that fall; 0 for those left out."""
    # The difference first: at a temperature near 0, the logits by it alone are infinite.
    odds = np.exp((ranked - ranked[:, :1]) / decoding.temperature)
    if decoding.top_k is not None:
        odds[:, decoding.top_k :] = 0
    if decoding.top_p is not None:
        before = np.cumsum(odds, axis=1) - odds
        # The token that brings the sum to top_p is still among them.
        odds[before >= decoding.top_p * odds.sum(axis=1, keepdims=True)] = 0
    return odds


def _drawn(seed: int, index: int, count: int) -> np.ndarray:
    """Numbers in [0, 1), one a row, from a counter-based generator (Philox, Salmon 2011)."""
    key = np.array([seed % 2**64, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, (rows, outputs) float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_of(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The logarithm of the probability of one token of each row, (rows,), from (rows, outputs)."""
    most = logits.max(axis=1)
    total = np.log(np.exp(logits - most[:, None]).sum(axis=1, dtype=np.float64))
    return logits[np.arange(len(tokens)), tokens] - most.astype(np.float64) - total


def never_said(tokenizer: Tokenizer) -> list[int]:
    """The tokens that a model is not to say: what is unknown, and padding that stands for no text.

    A vocabulary without padding has a token of its own at `pad_id`.
    """
    found = [] if tokenizer.unknown_id is None else [tokenizer.unknown_id]
    if tokenizer.pad_id != tokenizer.end_id and not tokenizer.decode([tokenizer.pad_id]):
        found.append(tokenizer.pad_id)
    return found
