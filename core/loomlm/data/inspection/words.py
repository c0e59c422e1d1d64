"""Words of texts as 64-bit numbers, for what compares texts by runs of words.

A word is a run of letters, digits and marks, in small letters, after Unicode's compatibility
normalisation; all else only ends words. A character of a script that is written without spaces is
a word of its own. So punctuation, case and white space play no part, as in Brown et al. 2020,
appendix C.

All of it is arithmetic on arrays. The number of a run of things with numbers v is the sum of
v[j] * B**j modulo 2**64, shifted by B to the power of where it starts: a difference of two entries
of one cumulative sum, times a power of the inverse of B, which is there as B is odd.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]

BUFFER = 1 << 17
"""Characters that are looked at together: what is computed of them stays in a core's cache."""

OVERLAP = 2000
"""Characters that a piece of a very long text shares with the one before, for runs of words."""

CODES = 0x110000
BLOCK = 256
WITHOUT_SPACES = (
    (0x0E00, 0x0F00),  # Thai, Lao
    (0x1000, 0x10A0),  # Myanmar
    (0x1780, 0x1800),  # Khmer
    (0x3040, 0x3100),  # Hiragana, Katakana
    (0x31F0, 0x3200),
    (0x3400, 0x4DC0),  # Han
    (0x4E00, 0xA000),
    (0xF900, 0xFB00),
    (0x20000, 0x323B0),
)
BASE = 0x9E3779B97F4A7C15  # odd
INVERSE = pow(BASE, -1, 1 << 64)


def mixed(values: Numbers) -> Numbers:
    """Numbers whose bits all depend on all bits: the finaliser of SplitMix64 (Steele 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@frozen
class Words:
    """The words of some texts, in order.

    numbers: (words,). texts: (words,), which text each stands in, by its number in all. lines:
    (words,), the same for lines.
    """

    numbers: Numbers
    texts: NDArray[np.int64]
    lines: NDArray[np.int64]


class WordReader:
    """Makes words of texts. Holds tables of characters, filled as characters come up."""

    def __init__(self) -> None:
        self._values = np.zeros(CODES, np.uint64)
        self._own = np.zeros(CODES, bool)
        self._filled = np.zeros(CODES // BLOCK, bool)
        for start, end in WITHOUT_SPACES:
            self._own[start:end] = True
        self._powers = _powers(BASE, 0)
        self._inverses = _powers(INVERSE, 0)
        self._fill(0)

    def words(self, texts: Iterable[str]) -> Iterator[Words]:
        """The words of all texts, some thousands at a time."""
        lines = 0
        for first, some in _buffers(texts):
            found = self._words(first, some)
            numbers = Words(found.numbers, found.texts, found.lines + lines)
            lines += sum(text.count("\n") + 1 for text in some)
            yield numbers

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many words each text has, (texts,)."""
        counts = np.zeros(len(texts), np.int64)
        for found in self.words(texts):
            counts += np.bincount(found.texts, minlength=len(texts))
        return counts

    def _words(self, first: int, texts: Sequence[str]) -> Words:
        texts = [_normal(text) for text in texts]
        joined = "\n".join(texts) + "\n"
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        plain = joined.isascii()
        if not plain:
            for block in np.flatnonzero(np.bincount(codes >> 8) > 0):
                self._fill(int(block))
        values = self._values[codes]
        inside = values != 0
        # A word starts where none was, and ends where none is; a character that is a word does both
        cut = np.diff(inside, prepend=False)
        starts = inside & cut
        ends = ~inside & cut
        if not plain:
            own = self._own[codes] & inside
            behind = np.concatenate(([False], own[:-1]))
            starts |= inside & (own | behind)
            ends |= behind | (own & np.concatenate(([False], inside[:-1])))
        start, end = np.flatnonzero(starts), np.flatnonzero(ends)
        numbers = self._runs(values, start, end)
        bounds = np.cumsum([len(text) + 1 for text in texts])
        lines = np.flatnonzero(codes == ord("\n"))
        return Words(numbers, first + _parts(start, bounds), _parts(start, lines))

    def _runs(self, values: Numbers, start: NDArray[np.int64], end: NDArray[np.int64]) -> Numbers:
        """The numbers of runs of values; each is behind the one before."""
        if len(values) >= len(self._powers):
            self._powers = _powers(BASE, len(values))
            self._inverses = _powers(INVERSE, len(values))
        sums = np.zeros(len(values) + 1, np.uint64)
        np.cumsum(values * self._powers[: len(values)], out=sums[1:])
        return mixed((sums[end] - sums[start]) * self._inverses[start])

    def runs(self, words: Numbers, length: int) -> Numbers:
        """The numbers of all runs of `length` words, (words - length + 1,)."""
        count = len(words) - length + 1
        if count <= 0:
            return np.zeros(0, np.uint64)
        start = np.arange(count)
        return self._runs(words, start, start + length)

    def run(self, words: Numbers, start: NDArray[np.int64], end: NDArray[np.int64]) -> Numbers:
        """The numbers of some runs of words, from `start` to before `end`."""
        return self._runs(words, start, end)

    def _fill(self, block: int) -> None:
        """Give the characters of a block their numbers; those that end words have 0."""
        if self._filled[block]:
            return
        self._filled[block] = True
        for code in range(block * BLOCK, (block + 1) * BLOCK):
            letter = chr(code)
            if letter.isalnum() or unicodedata.category(letter)[0] == "M":
                small = letter.lower()
                self._values[code] = ord(small) if len(small) == 1 else code
        here = self._values[block * BLOCK : (block + 1) * BLOCK]
        here[here != 0] = mixed(here[here != 0])


def _parts(starts: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """In which part each thing stands; the bounds are behind all of them."""
    each = np.diff(np.searchsorted(starts, bounds), prepend=0)
    return np.repeat(np.arange(len(bounds)), each)


def _powers(base: int, least: int) -> Numbers:
    """Powers of a number modulo 2**64, more than `least` of them."""
    powers = np.full(max(BUFFER, least) + BUFFER, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _buffers(texts: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Texts in lists of about BUFFER characters, with the number of the first of each list."""
    held: list[str] = []
    size = first = number = 0
    for number, text in enumerate(texts):
        if held and size + len(text) > BUFFER:
            yield first, held
            held, size = [], 0
        if not held:
            first = number
        if len(text) <= BUFFER:
            held.append(text)
            size += len(text)
            continue
        for start in range(0, len(text), BUFFER - OVERLAP):
            yield number, [text[start : start + BUFFER]]
    if held:
        yield first, held
