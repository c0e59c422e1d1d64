"""Which tokens of a row are hidden, and what stands in their place."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from loomlm.plugin import uniforms
from loomlm_tasks.config import MaskedLmConfig


@frozen
class Vocabulary:
    """What masking has to know of a vocabulary.

    size: of it. mask: the id that stands for what is hidden. special: ids that are never predicted
    and never put in a token's place. continues: (size,) bool, which tokens go on with a word.
    """

    size: int
    mask: int
    special: tuple[int, ...]
    continues: np.ndarray


@frozen
class Masked:
    """Some rows with tokens hidden, all (rows, ...): padded behind with 0.

    tokens: (rows, time) as the model sees them. places, label: (rows, most), where the hidden ones
    stand in their row, from left to right, and which they are. count: (rows,), how many there are.
    """

    tokens: np.ndarray
    places: np.ndarray
    label: np.ndarray
    count: np.ndarray


def most_hidden(share: float, time: int) -> int:
    """The most tokens of a row of so many that are predicted; at least 1."""
    return max(1, int(share * time + 0.5))


def hide(
    tokens: np.ndarray,
    piece: np.ndarray,
    keys: np.ndarray,
    config: MaskedLmConfig,
    vocabulary: Vocabulary,
) -> Masked:
    """Hide a share of each row's tokens (Devlin 2018, section 3.1).

    tokens, piece: (rows, time); piece is the number of a token's document in its row, 0 for
    padding. keys: (rows,) uint64; what is hidden is a function of the row and its key.
    """
    size, time = tokens.shape
    open_ = (piece > 0) & ~np.isin(tokens, vocabulary.special)
    wanted = np.floor(config.share * open_.sum(axis=1) + 0.5).astype(np.int64)
    wanted = np.where(open_.any(axis=1), np.maximum(wanted, 1), 0)
    most = most_hidden(config.share, time)
    # By place, so that nothing depends on how wide the rows beside it are.
    drawn = uniforms(keys, 3 * time).reshape(size, time, 3)
    odds = drawn[:, :, 0]
    if config.whole_words:
        chosen = _words(open_, _starts(tokens, piece, open_, vocabulary), odds, wanted)
    else:
        rank = _rank(np.where(open_, odds, 2.0))
        chosen = open_ & (rank < wanted[:, None])
    count = chosen.sum(axis=1)
    places = np.argsort(~chosen, axis=1, kind="stable")[:, :most]
    real = np.arange(most) < count[:, None]
    places = np.where(real, places, 0)
    rows = np.arange(size)[:, None]
    label = np.where(real, tokens[rows, places], 0)
    what, other = drawn[rows, places, 1], drawn[rows, places, 2]
    plain = np.delete(np.arange(vocabulary.size), vocabulary.special)
    random = plain[(other * len(plain)).astype(np.int64)] if len(plain) else label
    changed = np.where(what < config.masked + config.random, random, label)
    changed = np.where(what < config.masked, vocabulary.mask, changed)
    seen = tokens.copy()
    row, at = np.nonzero(real)
    seen[row, places[row, at]] = changed[row, at]
    return Masked(seen, places, label, count)


def _rank(values: np.ndarray) -> np.ndarray:
    """The place of each value among those of its row, the smallest first."""
    order = np.argsort(values, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(values.shape[1])[None], axis=1)
    return rank


def _starts(
    tokens: np.ndarray, piece: np.ndarray, open_: np.ndarray, vocabulary: Vocabulary
) -> np.ndarray:
    """Where a word begins, (rows, time) bool."""
    before = np.zeros_like(open_)
    before[:, 1:] = open_[:, :-1] & (piece[:, 1:] == piece[:, :-1])
    return open_ & ~(before & vocabulary.continues[tokens])


def _words(
    open_: np.ndarray, starts: np.ndarray, odds: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """Whole words by chance until there are as many tokens as wanted; one that is too long for
    what is left is passed over, as BERT does. Where all are too long, the first is cut.
    """
    size, time = open_.shape
    word = np.where(open_, np.cumsum(starts, axis=1), 0)  # 0 for what belongs to none
    rows = np.broadcast_to(np.arange(size)[:, None], word.shape)
    length = np.zeros((size, time + 1), np.int64)
    np.add.at(length, (rows[open_], word[open_]), 1)
    order = np.full((size, time + 1), 2.0)
    order[rows[starts], word[starts]] = odds[starts]
    order = np.argsort(order, axis=1, kind="stable")
    taken = np.zeros((size, time + 1), bool)
    left, every = wanted.copy(), np.arange(size)
    for place in range(int(starts.sum(axis=1).max(initial=0))):
        if not left.any():
            break
        found = order[:, place]
        fits = (length[every, found] > 0) & (length[every, found] <= left)
        taken[every, found] = fits
        left -= np.where(fits, length[every, found], 0)
    chosen = open_ & taken[rows, word]
    first = open_ & (word == order[:, :1])
    cut = first & (np.cumsum(first, axis=1) <= wanted[:, None])
    return np.where(chosen.any(axis=1, keepdims=True), chosen, cut)
