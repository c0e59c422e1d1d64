"""Word dropout: tokens that are replaced while training, anew in each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.contracts import Batch, Task, Tokenizer
from loomlm.data.orders import drawn
from loomlm.data.vocabularies import tokens_of

DROPPING = 2**32 + 1
"""The stream of `drawn` that decides which tokens are replaced."""

LENGTHS = {"tokens": "length", "source": "source_length"}
"""The texts of a batch, and how long their rows are."""

SPECIAL = ("pad_id", "end_id", "unknown_id", "mask_id")
"""Tokens of a vocabulary that stay, and that none is replaced by but by the unknown one."""


@frozen
class Vocabulary:
    """What words may be replaced by. unknown: None where nothing can be unknown."""

    size: int
    unknown: int | None
    special: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Vocabulary:
        """That of a tokenizer."""
        found = {getattr(tokenizer, name, None) for name in SPECIAL}
        special = tuple(sorted(one for one in found if one is not None))
        return cls(tokenizer.vocab_size, tokenizer.unknown_id, special)


@frozen
class WordDropout:
    """Replaces a share of a batch's tokens (Iyyer 2015; Bowman 2016, section 3.1).

    By the unknown token; where a vocabulary has none, as of bytes, by any other (SwitchOut, Wang
    2018). What ends or fills a text stays. Labels stay: a language model still predicts what stood
    there. All of it is a function of the seed, the step and the place in the batch.

    vocabularies: of `tokens`, and of `source` where there is one.
    """

    share: float
    vocabularies: Mapping[str, Vocabulary]

    @classmethod
    def of(cls, share: float, task: Task, tokenizer: Tokenizer) -> WordDropout | None:
        """What a trainer's config asks for; None where it is nothing."""
        if not share:
            return None
        own = Vocabulary.of(tokens_of(task, tokenizer))
        return cls(share, {"tokens": own, "source": Vocabulary.of(tokenizer)})

    def __call__(self, batch: Batch, seed: int, step: int) -> Batch:
        """The batch with other `tokens` and `source`, (batch, time) each."""
        generator = drawn(seed, step, DROPPING)
        changed = {
            name: self._replaced(batch[name], batch[LENGTHS[name]], vocabulary, generator)
            for name, vocabulary in self.vocabularies.items()
            if name in batch
        }
        return evolve(batch, arrays={**batch.arrays, **changed})

    def _replaced(
        self,
        tokens: np.ndarray,
        length: np.ndarray,
        vocabulary: Vocabulary,
        generator: np.random.Generator,
    ) -> np.ndarray:
        gone = generator.random(tokens.shape) < self.share
        gone &= np.arange(tokens.shape[1]) < length[:, None]
        gone &= ~np.isin(tokens, vocabulary.special)
        new: Any = vocabulary.unknown
        if new is None:
            new = generator.integers(vocabulary.size, size=tokens.shape)
            gone &= ~np.isin(new, vocabulary.special)
        return np.where(gone, new, tokens).astype(tokens.dtype)
