"""Byte-level BPE with tiktoken, several times as fast, where the ids are those of `tokenizers`.

Both split a text into words by one pattern and then join neighbours. `tokenizers` joins the pair
whose rule comes first, tiktoken the pair whose joined bytes come first in its list. These are the
same where the text of every token is encoded as that token alone: two neighbours that join to a
token have been joined inside as in the token's own text, so they are the two that its rule names.
That is checked for each tokenizer, and a text goes back to the library where a code point is not of
the same class in both, or where tiktoken gives up.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import tokenizers
from attrs import define, frozen
from numpy.typing import NDArray

from loomlm.plugin import Ragged

if TYPE_CHECKING:
    import tiktoken

PART = 1 << 18
"""Characters that are encoded at once: enough that calls cost nothing, few enough for memory."""

WORDS = (
    r"(?: ?\p{L}+|'(?:[sdmt]|ll|ve|re)| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+$)"
    r"|\s+(?!\S)|\s"
)
"""The words of GPT-2's pattern (Radford 2019), written so that what looks ahead stands apart: the
group in front is matched without going back, in half the time.
"""

MARK = "\x02\x1e\x03"
"""Stands between texts that are encoded in one call. Its ends differ, so none can overlap it."""

_INSIDE = re.compile(r"\S[ \n]")
"""Where a text may be cut: no word has white space behind another character."""

_SWEPT = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))
"""Code points whose classes are compared; the rest is unassigned or private."""

Library = Callable[[list[str]], list[NDArray[np.int32]]]
"""What encodes texts slowly."""


@define(slots=False)
class FastBytePairs:
    """A byte-level BPE of the library, with tiktoken's engine.

    tokens: the bytes of each token, in the order of the rules. ids: their ids, (tokens,) int32.
    lowercase: texts are made small first.
    """

    tokens: Sequence[bytes]
    ids: NDArray[np.int32]
    lowercase: bool

    def encode_many(self, texts: Sequence[str], library: Library) -> Ragged:
        """Ids of each text, (texts,) rows of int32, on as many threads as there are processors."""
        pieces, counts = _cut(texts)
        parts = [pieces[part] for part in spans(pieces, PART)]
        threads = min(len(parts), processors())

        def encode(part: list[str]) -> _Rows:
            return self._encode(part, library)

        if threads > 1:
            self._engine  # noqa: B018 - made once, before the threads want it
            with ThreadPoolExecutor(threads) as pool:
                rows = list(pool.map(encode, parts))
        else:
            rows = [encode(part) for part in parts]
        return _joined(rows, counts)

    def _encode(self, texts: list[str], library: Library) -> _Rows:
        """A part in one call, or text by text where something stands in the way."""
        found = self._ranks(MARK.join([*texts, ""]), {MARK})
        if found is None:
            return self._encode_each(texts, library)
        ends = np.flatnonzero(found == len(self.ids))
        if len(ends) != len(texts):
            return self._encode_each(texts, library)
        inside = np.ones(len(found), bool)
        inside[ends] = False
        return _Rows(self.ids[found[inside]], np.diff(ends, prepend=-1) - 1)

    def _encode_each(self, texts: list[str], library: Library) -> _Rows:
        found = [self._ranks(text, set()) for text in texts]
        slow = iter(library([texts[i] for i, ranks in enumerate(found) if ranks is None]))
        rows = [next(slow) if ranks is None else self.ids[ranks] for ranks in found]
        return _Rows(np.concatenate(rows), np.array([len(row) for row in rows]))

    def _ranks(self, text: str, marks: set[str]) -> NDArray[np.uint32] | None:
        """Numbers of tokens, or None where the ids may not be the library's."""
        try:
            if self.lowercase:
                if not text.isascii() and not _same_lowercase().have(text):
                    return None
                text = _lower(text)
            if not text.isascii() and not _same_classes().have(text):
                return None
            return self._engine.encode_to_numpy(text, allowed_special=marks, disallowed_special=())
        except ValueError:  # a surrogate stands alone, or too many spaces for tiktoken's engine
            return None

    @cached_property
    def _engine(self) -> tiktoken.Encoding:
        ranks = {token: rank for rank, token in enumerate(self.tokens)}
        return _encoding(WORDS, ranks)


def fast_byte_pairs(tokenizer: tokenizers.Tokenizer) -> FastBytePairs | None:
    """The tokenizer with the other engine, None where that may give other ids."""
    state = json.loads(tokenizer.to_str())
    model = state["model"]
    if not _known_form(state):
        return None
    characters = {character: byte for byte, character in enumerate(byte_characters())}
    names = [*characters, *("".join(pair) for pair in model["merges"])]
    vocabulary: Mapping[str, int] = model["vocab"]
    if (
        len(set(names)) < len(names)
        or not vocabulary.keys() >= set(names)
        or not all(set(name) <= characters.keys() for name in names)
        or (model["ignore_merges"] and len(vocabulary) > len(names))
    ):
        return None
    ids = np.array([vocabulary[name] for name in names], np.int32)
    if not _stand_alone(state, names, ids):
        return None
    tokens = [bytes(characters[character] for character in name) for name in names]
    return FastBytePairs(tokens, ids, state["normalizer"] is not None)


def _known_form(state: Mapping[str, Any]) -> bool:
    """Whether the words are GPT-2's, and nothing else than pairs is looked up in a text."""
    model, words = state["model"], state["pre_tokenizer"] or {}
    return (
        model["type"] == "BPE"
        and not model["dropout"]
        and not model["continuing_subword_prefix"]
        and not model["end_of_word_suffix"]
        and words.get("type") == "ByteLevel"
        and not words["add_prefix_space"]
        and words.get("use_regex", True)
        and state["normalizer"] in (None, {"type": "Lowercase"})
        and all(token["special"] for token in state["added_tokens"])
    )


def _stand_alone(state: Mapping[str, Any], names: list[str], ids: NDArray[np.int32]) -> bool:
    """Whether the rules make of each token's text that token."""
    bare = {
        **state,
        "model": {**state["model"], "ignore_merges": False},
        "added_tokens": [],
        **dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor", "decoder")),
    }
    rules = tokenizers.Tokenizer.from_str(json.dumps(bare))
    encoded = rules.encode_batch_fast(names, add_special_tokens=False)
    return [row.ids for row in encoded] == [[number] for number in ids.tolist()]


def byte_characters() -> list[str]:
    """The character that stands for each byte: itself where it can be seen, as in GPT-2."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(others)) for byte in range(256)]


# --- parts -----------------------------------------------------------------------------------


@frozen
class _Rows:
    """ids: of some texts end to end. lengths: how many of them each text has."""

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]


def spans(texts: Sequence[str], most: int, rows: int | None = None) -> Iterator[slice]:
    """Slices of neighbours with about `most` characters in all, and at most so many rows."""
    start = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= most or index + 1 - start == rows:
            yield slice(start, index + 1)
            start, size = index + 1, 0
    if start < len(texts):
        yield slice(start, len(texts))


def _cut(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64] | None]:
    """The texts with long ones cut where no word is, and of how many pieces each is, if any is."""
    if all(len(text) <= 2 * PART for text in texts):
        return list(texts), None
    pieces: list[str] = []
    counts = np.zeros(len(texts), np.int64)
    for index, text in enumerate(texts):
        before, start = len(pieces), 0
        while inside := _INSIDE.search(text, start + PART):
            pieces.append(text[start : inside.start() + 1])
            start = inside.start() + 1
        pieces.append(text[start:])
        counts[index] = len(pieces) - before
    return pieces, counts


def _joined(rows: list[_Rows], counts: NDArray[np.int64] | None) -> Ragged:
    ids = np.concatenate([row.ids for row in rows]) if rows else np.zeros(0, np.int32)
    lengths = [row.lengths for row in rows]
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]), dtype=np.int64)
    if counts is not None:
        ends = ends[np.concatenate([[0], np.cumsum(counts)])]
    return Ragged(ids, ends)


def processors() -> int:
    """How many threads are worth having; one where the library's own threads are turned off."""
    if os.environ.get("TOKENIZERS_PARALLELISM", "").lower() in ("false", "0", "no", "off"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- code points -----------------------------------------------------------------------------


def _lower(text: str) -> str:
    """Each character made small by itself, as the library does: Python minds a sigma's place."""
    return text.replace("\u03a3", "\u03c3").lower()


@frozen
class _CodePoints:
    """Those that two libraries treat alike; every one below `first` is among them."""

    table: NDArray[np.bool_]
    first: int

    @classmethod
    def of(cls, alike: Iterable[str]) -> _CodePoints:
        table = np.zeros(0x110000, bool)
        table[0xD800:0xE000] = True  # no text that can be encoded has a surrogate
        table[np.fromiter(map(ord, alike), np.int64)] = True
        return cls(table, int(np.argmin(table)))

    def have(self, text: str) -> bool:
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        return int(codes.max(initial=0)) < self.first or bool(self.table[codes].all())


@cache
def _same_classes() -> _CodePoints:
    """The code points that both engines take as letter, number or space alike.

    Each has tables of its own, of one version of Unicode or another.
    """
    swept = [chr(code) for codes in _SWEPT for code in codes]
    text = "".join(swept)
    one = {bytes([byte]): byte for byte in range(256)}
    differ: set[str] = set()
    for name in (r"\p{L}", r"\p{N}", r"\s"):
        found = _encoding(name, one).encode_to_numpy(text, disallowed_special=())
        ours = found.astype(np.uint8).tobytes().decode()
        others = tokenizers.Regex(f"[^{name}]+")
        theirs = tokenizers.normalizers.Replace(others, "").normalize_str(text)
        if ours != theirs:
            differ |= set(ours) ^ set(theirs)
    return _CodePoints.of(character for character in swept if character not in differ)


@cache
def _same_lowercase() -> _CodePoints:
    """The code points that Python and the library make small alike."""
    swept = [chr(code) for codes in _SWEPT for code in codes]
    text = "\0".join(swept)
    theirs = tokenizers.normalizers.Lowercase().normalize_str(text).split("\0")[1:]
    ours = _lower(text).split("\0")[1:]
    pairs = zip(swept, theirs, ours, strict=False)
    return _CodePoints.of(character for character, one, other in pairs if one == other)


def _encoding(pattern: str, ranks: dict[bytes, int]) -> tiktoken.Encoding:
    import tiktoken

    special = {MARK: len(ranks)}
    return tiktoken.Encoding(
        "loomlm", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special
    )
