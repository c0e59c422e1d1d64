"""The likeliest pieces of a text, by how likely each token is to be the first and the last."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray


@frozen
class Span:
    """A piece of a text, in characters of the whole. score: its log probability."""

    text: str
    start: int
    end: int
    score: float


def best_spans(odds: NDArray[np.float64], longest: int, count: int) -> list[tuple[int, int]]:
    """First and last tokens of the `count` likeliest spans of at most `longest` tokens.

    odds: (tokens, 2), of a token to be the first and to be the last. All spans are compared, so
    that none is missed whose first or last token is not among the likeliest by itself. Of equal
    ones, those that begin earlier, and then the shorter, come first.
    """
    if not len(odds):
        return []
    longest = min(longest, len(odds))
    last = np.concatenate([odds[:, 1], np.full(longest - 1, -np.inf)])
    sums = odds[:, :1] + np.lib.stride_tricks.sliding_window_view(last, longest)
    flat = sums.ravel()
    if count == 1:
        places = np.array([flat.argmax()])
    else:
        most = min(count, len(flat))
        least = np.partition(flat, len(flat) - most)[len(flat) - most]
        among = np.flatnonzero(flat >= least)
        places = among[np.argsort(-flat[among], kind="stable")][:most]
    firsts, behind = np.divmod(places[np.isfinite(flat[places])], longest)
    return list(zip(firsts.tolist(), (firsts + behind).tolist(), strict=True))
