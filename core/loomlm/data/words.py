"""Word dropout: tokens that are replaced while training, anew in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.contracts import Batch, Tokenizer
from loomlm.data.orders import drawn

DROPPING = 2**32 + 1
"""The stream of `drawn` that decides which tokens are replaced."""


@frozen
class WordDropout:
    """Replaces a share of a batch's tokens (Iyyer 2015; Bowman 2016, section 3.1).

    By the unknown token; where a vocabulary has none, as of bytes, by any other (SwitchOut, Wang
    2018). What ends or fills a text stays. Labels stay: a language model still predicts what stood
    there. All of it is a function of the seed, the step and the place in the batch.
    """

    share: float
    unknown: int | None
    vocab_size: int
    special: tuple[int, ...]

    @classmethod
    def of(cls, share: float, tokenizer: Tokenizer) -> WordDropout | None:
        """What a trainer's config asks for; None where it is nothing."""
        if not share:
            return None
        named = ("pad_id", "end_id", "unknown_id", "mask_id")
        found = {getattr(tokenizer, name, None) for name in named}
        special = tuple(sorted(one for one in found if one is not None))
        return cls(share, tokenizer.unknown_id, tokenizer.vocab_size, special)

    def __call__(self, batch: Batch, seed: int, step: int) -> Batch:
        """The batch with other `tokens`, (batch, time)."""
        tokens = batch["tokens"]
        generator = drawn(seed, step, DROPPING)
        gone = generator.random(tokens.shape) < self.share
        gone &= np.arange(tokens.shape[1]) < batch["length"][:, None]
        gone &= ~np.isin(tokens, self.special)
        new: Any = self.unknown
        if new is None:
            new = generator.integers(self.vocab_size, size=tokens.shape)
            gone &= ~np.isin(new, self.special)
        changed = np.where(gone, new, tokens).astype(tokens.dtype)
        return evolve(batch, arrays={**batch.arrays, "tokens": changed})
