"""Words and marks of plain text by Python's `re`, several times as fast as by the library.

Plain is what has nothing but the printable characters of ASCII, blanks, tabs and ends of lines:
there BERT's cleaning (Devlin 2019) changes no more than capitals, and its words are runs of letters
and digits, and each other mark. Any other text goes to the library.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import tokenizers
from attrs import frozen
from numpy.typing import NDArray

from loomlm.plugin import Ragged

Library = Callable[[list[str]], list[NDArray[np.int32]]]
"""What encodes texts slowly."""

ROWS, PART = 1000, 1 << 20
"""So many texts are encoded at once, and of a long one so many characters and a few."""

_PLAIN = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_SPACE = re.compile(r"\s")
_WORDS = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]")


class Ids(dict[str, int]):
    """Ids of words, with one for those that are not there."""

    def __init__(self, vocabulary: dict[str, int], unknown: int) -> None:
        super().__init__(vocabulary)
        self.unknown = unknown

    def __missing__(self, word: str) -> int:
        return self.unknown


@frozen
class FastWords:
    """A tokenizer of whole words. lowercase: texts are made small first."""

    ids: Ids
    lowercase: bool

    def encode_many(self, texts: Sequence[str], library: Library) -> Ragged:
        """Ids of each text, (texts,) rows of int32."""
        parts = [
            self._encode(texts[start : start + ROWS], library)
            for start in range(0, len(texts), ROWS)
        ]
        lengths = [length for _, lengths in parts for length in lengths]
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        ids = [ids for ids, _ in parts]
        return Ragged(np.concatenate(ids) if ids else np.zeros(0, np.int32), offsets)

    def _encode(
        self, texts: Sequence[str], library: Library
    ) -> tuple[NDArray[np.int32], list[int]]:
        """Ids end to end, and how many each text has."""
        plain = [is_plain(text) for text in texts]
        slow = iter(library([text for text, easy in zip(texts, plain, strict=True) if not easy]))
        ids = array("i")
        lengths, find = [], self.ids.__getitem__
        for text, easy in zip(texts, plain, strict=True):
            before = len(ids)
            ids.extend(map(find, words(text, self.lowercase)) if easy else next(slow).tolist())
            lengths.append(len(ids) - before)
        return np.array(ids, np.int32), lengths


def fast_words(tokenizer: tokenizers.Tokenizer) -> FastWords | None:
    """The tokenizer for plain texts, None where its words are others."""
    state = json.loads(tokenizer.to_str())
    model, normalizer = state["model"], state["normalizer"] or {}
    vocabulary: dict[str, int] = model["vocab"] if model["type"] == "WordLevel" else {}
    known = (
        normalizer.get("type") == "BertNormalizer"
        and state["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        and all(token["special"] for token in state["added_tokens"])
    )
    unknown = vocabulary.get(model.get("unk_token", ""))
    if not known or unknown is None:
        return None
    return FastWords(Ids(vocabulary, unknown), normalizer["lowercase"])


def is_plain(text: str) -> bool:
    return text.isascii() and not text.encode().translate(None, _PLAIN)


def words(text: str, lowercase: bool) -> Iterable[str]:
    """Those of a plain text."""
    pieces = [text] if len(text) <= PART else _cut(text)
    return chain.from_iterable(
        _WORDS.findall(piece.lower() if lowercase else piece) for piece in pieces
    )


def _cut(text: str) -> Iterator[str]:
    """Pieces of a long text: a list of all its words would be many times as large."""
    start = 0
    while space := _SPACE.search(text, start + PART):
        yield text[start : space.start()]
        start = space.start()
    yield text[start:]


def count_words(
    texts: Iterable[str], lowercase: bool, library: Callable[[Iterable[str]], dict[str, int]]
) -> Counter[str]:
    """How often each word stands in the texts. library: counts those of texts that are not plain.

    It is called once, and the texts are read as it goes.
    """
    counts: Counter[str] = Counter()

    def others() -> Iterator[str]:
        for text in texts:
            if is_plain(text):
                counts.update(words(text, lowercase))
            else:
                yield text

    found = library(others())
    counts.update(found)
    return counts
