"""Examples to look at: the longest, and those whose characters are the least expected.

How odd a text is: the mean surprise of its characters, in bits, each after the three before it. The
probabilities are counts of the split itself, of runs of up to four characters, each order with the
one below it as its prior (MacKay and Peto 1995); an occurrence never counts for itself. What scores
high is another language or code, encoded data, or characters that occur nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.data.examples import Split
from loomlm.data.inspection.texts import CHUNK, whole_text
from loomlm.data.inspection.words import mixed

ORDER = 4
BITS = 22
"""Of the table of counts: four million runs; two that share a place count as one."""

STEADY = 20
"""Characters of the mean that a text counts besides its own, so that a list of odd texts is not one
of short ones."""

PRIOR = 5.0
"""Occurrences that the order below is worth: in English text from 2 to 10 made no difference to
which texts came first."""

COUNTED = 20_000_000
"""Characters that are counted: of a larger split, every so many-th chunk of examples."""


@frozen
class Odd:
    """A row of a split, and the bits of surprise that a character of it brings."""

    row: int
    bits: float


def oddest(split: Split, characters: int, most: int = 10) -> list[Odd]:
    """The examples that are the least expected, the oddest first. characters: of the split."""
    every = max(1, characters // COUNTED)
    counts = [np.zeros(1 << BITS, np.int32) for _ in range(ORDER)]
    for index, texts in enumerate(_texts(split)):
        if index % every == 0:
            for order, runs in enumerate(_runs(_codes(texts)[0])):
                counts[order] += np.bincount(runs, minlength=1 << BITS).astype(np.int32)
    sums, lengths = [], []
    for texts in _texts(split):
        codes, bounds = _codes(texts)
        bits = np.concatenate(([0.0], np.cumsum(_surprise(codes, counts))))
        sums.append(bits[bounds[1:]] - bits[bounds[:-1]])
        lengths.append(np.diff(bounds))
    total, length = np.concatenate(sums), np.concatenate(lengths)
    mean = float(total.sum() / max(int(length.sum()), 1))
    odd = (total + STEADY * mean) / (length + STEADY)
    return [Odd(int(row), float(odd[row])) for row in np.argsort(-odd, kind="stable")[:most]]


def longest(characters: NDArray[np.int64], most: int = 10) -> list[int]:
    """The rows with the most characters, the longest first."""
    return [int(row) for row in np.argsort(-characters, kind="stable")[:most]]


def _texts(split: Split) -> Iterator[list[str]]:
    for chunk in split.chunks(CHUNK):
        yield [whole_text(example) for example in chunk]


def _codes(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The code points of texts, three of padding in front, and where each text begins and ends."""
    joined = "\0" * (ORDER - 1) + "".join(texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes.astype(np.uint64), np.cumsum([0, *map(len, texts)])


def _runs(codes: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    """For each order, the place in the table of the run that ends with each character."""
    size = len(codes) - (ORDER - 1)
    found, run = [], np.zeros(size, np.uint64)
    for back in range(ORDER):
        start = ORDER - 1 - back
        run = run * np.uint64(0x110001) + codes[start : start + size] + np.uint64(1)
        found.append((mixed(run) >> np.uint64(64 - BITS)).astype(np.int64))
    return found


def _surprise(codes: NDArray[np.uint64], counts: list[NDArray[np.int32]]) -> NDArray[np.float64]:
    """Bits of each character, by the counts of runs that end with it and of those before it."""
    runs = _runs(codes)
    total = max(int(counts[0].sum()), 2)
    seen = np.maximum(counts[0][runs[0]] - 1, 0)
    chance = (seen + 1.0) / (total + 256.0)
    for order in range(1, ORDER):
        with_it = np.maximum(counts[order][runs[order]] - 1, 0).astype(np.float64)
        before = np.zeros(len(with_it))
        # What stands before a character is the run, one shorter, that ends a character earlier.
        before[1:] = np.maximum(counts[order - 1][runs[order - 1]][:-1] - 1, 0)
        # Counts of a sample may lack what is scored; a share is never above one.
        before = np.maximum(before, with_it)
        chance = (with_it + PRIOR * chance) / (before + PRIOR)
    return -np.log2(chance)
