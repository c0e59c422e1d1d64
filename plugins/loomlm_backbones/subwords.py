"""Runs of characters within words, hashed to rows of a table (Bojanowski 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np
from attrs import field, frozen

from loomlm.plugin import Ragged, Tokenizer

MOST = 20
"""Runs that a word has at most; those of more are the ones whose hashes are smallest.

A word of five letters has 20 of 2 to 6 characters.
"""


@frozen
class Subwords:
    """The rows that the runs of each token's characters are hashed to; of some tokens none.

    rows: one row for each token of the vocabulary, of int32.
    """

    rows: Ragged = field(eq=False)

    @classmethod
    def of(cls, tokenizer: Tokenizer, lengths: tuple[int, ...], buckets: int) -> Subwords:
        """Of a vocabulary. lengths: the shortest and the longest run, with < and > as the ends."""
        special = {tokenizer.pad_id, tokenizer.unknown_id, tokenizer.end_id}
        found: list[list[int]] = [[] for _ in range(tokenizer.vocab_size)]
        for word, number in tokenizer.vocabulary().items():
            if number not in special:
                found[number] = _hashed(word, lengths, buckets)
        offsets = np.cumsum([0, *map(len, found)])
        return cls(Ragged(np.array([row for rows in found for row in rows], np.int32), offsets))

    def of_batch(self, tokens: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows, int32 (batch, MOST * time), a text's end to end, and of each its token's place.

        The place is -1 where no row stands.
        """
        batch, time = tokens.shape
        text, place = np.nonzero(np.arange(time) < length[:, None])
        found, token = self.of_tokens(tokens[text, place])
        counts = np.bincount(text[token], minlength=batch)
        here = np.arange(MOST * time) < counts[:, None]
        rows, places = np.zeros(here.shape, np.int32), np.full(here.shape, -1, np.int32)
        rows[here], places[here] = found, place[token]
        return rows, places

    def of_tokens(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of some tokens, (n,), end to end, and of each row the token's place, (rows,)."""
        starts, ends = self.rows.offsets[tokens], self.rows.offsets[tokens.astype(np.int64) + 1]
        counts = ends - starts
        place = np.repeat(np.arange(len(tokens)), counts)
        first = np.cumsum(counts) - counts
        within = np.arange(len(place)) - first[place]
        return self.rows.values[starts[place] + within], place


def _hashed(word: str, lengths: tuple[int, ...], buckets: int) -> list[int]:
    hashes = sorted({crc32(run.encode("utf-8", "surrogatepass")) for run in _runs(word, lengths)})
    return [hashed % buckets for hashed in hashes[:MOST]]


def _runs(word: str, lengths: tuple[int, ...]) -> Iterator[str]:
    marked = f"<{word}>"
    for length in range(lengths[0], lengths[1] + 1):
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]
