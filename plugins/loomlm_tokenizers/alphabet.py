"""The single characters that a WordPiece vocabulary begins with, without cutting texts to words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from attrs import define, field

PART = 1 << 20
"""Characters that are looked at together."""

PREFIX = "##"

Words = Callable[[str], list[str]]
"""The words of a text as a tokenizer cleans and cuts it, each character by itself."""


def alphabet(texts: Iterable[str], words: Words) -> list[str]:
    """Every character of the words of some texts, and with ## those behind a word's first; sorted.

    A character is put into a word of its own to learn what becomes of it, and not looked at any
    more where both its forms are known.
    """
    seen = _Seen(words)
    for part in _parts(texts):
        seen.look(np.frombuffer(part.encode("utf-32-le"), np.uint32))
    return sorted(seen.tokens)


@define
class _Seen:
    """What is known of each code point: whether it stands in a word, or leaves nothing behind."""

    words: Words
    tokens: set[str] = field(factory=set)
    _open: np.ndarray = field(factory=lambda: np.ones(0x110000, bool))
    _new: np.ndarray = field(factory=lambda: np.ones(0x110000, bool))
    _in_word: np.ndarray = field(factory=lambda: np.zeros(0x110000, bool))
    _nothing: np.ndarray = field(factory=lambda: np.zeros(0x110000, bool))

    def look(self, codes: np.ndarray) -> None:
        """Take up what a part of the texts has, (n,) code points, the first of them a space."""
        at = np.flatnonzero(self._open[codes])
        for code in np.unique(codes[at][self._new[codes[at]]]).tolist():
            self._meet(code)
        at = at[self._in_word[codes[at]]]
        before = at - 1
        while len(skipped := np.flatnonzero(self._nothing[codes[before]])):
            before[skipped] -= 1
        for code in np.unique(codes[at[self._in_word[codes[before]]]]).tolist():
            self._open[code] = False
            self.tokens.add(PREFIX + self.words(f"a{chr(code)}a")[0][1])

    def _meet(self, code: int) -> None:
        self._new[code] = False
        found = self.words(f"a{chr(code)}a")
        self._in_word[code] = len(found) == 1 and len(found[0]) > 2
        self._nothing[code] = found == ["aa"]
        self._open[code] = self._in_word[code]
        for word in self.words(chr(code)):
            self.tokens.update(word)
            self.tokens.update(PREFIX + character for character in word[1:])


def _parts(texts: Iterable[str]) -> Iterator[str]:
    """The texts end to end in parts, a space before each text."""
    held: list[str] = [""]
    size = 0
    for text in texts:
        held.append(text)
        size += len(text) + 1
        if size >= PART:
            yield " ".join(held)
            held, size = [""], 0
    yield " ".join(held)
