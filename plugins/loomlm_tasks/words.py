"""The words of a text, and which token each begins with."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

ABBREVIATION = re.compile(r"(?:\w\.)+")
EDGES = re.compile(r"([^\w\s]*)(.*?)('s|\u2019s|)([^\w\s]*)", re.IGNORECASE | re.DOTALL)
ALIKE = re.compile(r"(.)\1*")


def words_of_data(text: str) -> NDArray[np.int32]:
    """Where the words of a text stand, (words, 2), that were put together with single spaces."""
    ends = np.cumsum([len(word) + 1 for word in text.split(" ")]) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    return np.stack([starts, ends], axis=1).astype(np.int32)


def words_of_text(text: str, marks: bool) -> NDArray[np.int32]:
    """Where the words of any text stand, (words, 2): what is between white space.

    marks: marks at a word's ends are words of their own, like ones together, and so is an 's; but
    "U.S." is one word.
    """
    found: list[tuple[int, int]] = []
    for match in re.finditer(r"\S+", text):
        found += _cut(text, match.start(), match.end()) if marks else [match.span()]
    return np.array(found, np.int32).reshape(-1, 2)


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    edges = EDGES.fullmatch(text, start, end)
    assert edges is not None
    for group in (1, 2, 3, 4):
        first, last = edges.span(group)
        if group == 2 and text[last:end].startswith("."):
            # The dot of an abbreviation belongs to it.
            whole = ABBREVIATION.match(text, first)
            if whole is not None and whole.end() == last + 1:
                yield first, last + 1
                for mark in ALIKE.finditer(text, last + 1, end):
                    yield mark.span()
                return
        if group in (2, 3):
            if last > first:
                yield first, last
        else:
            yield from (mark.span() for mark in ALIKE.finditer(text, first, last))


def first_tokens(
    words: NDArray[np.int32], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> NDArray[np.int64]:
    """The token that each word begins with, (words,); -1 for a word that has none of its own.

    starts, ends: where the tokens stand.
    """
    if not len(starts):
        return np.full(len(words), -1)
    first = np.searchsorted(ends, words[:, 0], side="right")
    inside = np.minimum(first, len(starts) - 1)
    has = (first < len(starts)) & (starts[inside] < words[:, 1])
    has[1:] &= first[1:] > first[:-1]
    return np.where(has, first, -1)
