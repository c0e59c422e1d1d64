"""One pass over a split: sizes, labels, characters, and a digest of each example."""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from functools import cache, cached_property
from hashlib import blake2b

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.contracts import Tokenizer
from loomlm.data.examples import Split
from loomlm.data.inspection.texts import CHUNK, labels_of, whole_text, whole_texts
from loomlm.data.vocabularies import target_of

CODES = 0x110000
PERCENTILES = (0, 5, 50, 95, 100)


@frozen
class Counted:
    """A split in numbers; rows are in the split's order, and an example's further texts count too.

    characters: (n,). bytes: of all in UTF-8. digests: (n,), equal for equal texts. labels: the
    labels of each example; none at all where the split has none. codes: how often each code point
    stands in it, (0x110000,). blank: the rows that are empty or white space.
    """

    characters: NDArray[np.int64]
    bytes: int
    digests: NDArray[np.uint64]
    labels: tuple[tuple[str, ...], ...]
    codes: NDArray[np.int64]
    blank: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def label_counts(self) -> Counter[str]:
        """How often each label occurs."""
        return Counter(label for labels in self.labels for label in labels)

    @property
    def repeats(self) -> NDArray[np.int64]:
        """The rows whose text stood before them, in order."""
        return self.repeated[0]

    @cached_property
    def repeated(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`repeats`, and of each the first row with its text."""
        order = np.argsort(self.digests, kind="stable")
        ordered = self.digests[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        firsts = order[np.searchsorted(ordered, ordered[again])]
        by_row = np.argsort(order[again])
        return order[again][by_row], firsts[by_row]

    @cached_property
    def scripts(self) -> dict[str, int]:
        """How many letters are of each script, by the names that Unicode gives the letters."""
        found: Counter[str] = Counter()
        for code in np.flatnonzero(self.codes).tolist():
            name = script(code)
            if name:
                found[name] += int(self.codes[code])
        return dict(found.most_common())


@frozen
class Tokenised:
    """A split's tokens: of each example (n,), those unknown (n,), how often each id occurs."""

    lengths: NDArray[np.int64]
    unknown: NDArray[np.int64]
    counts: NDArray[np.int64]


def count(split: Split) -> Counted:
    """Read a split once; holds three numbers for each example."""
    characters, blank, digests, labels = array("q"), array("q"), array("Q"), []
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # So that equal ones are one object.
    codes = np.zeros(CODES, np.int64)
    size = 0
    for chunk in split.chunks(CHUNK):
        texts = [whole_text(example) for example in chunk]
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        first = len(characters)
        blank.extend(first + row for row, text in enumerate(texts) if not text or text.isspace())
        characters.extend(map(len, texts))
        size += sum(map(len, encoded))
        digests.frombytes(b"".join(blake2b(data, digest_size=8).digest() for data in encoded))
        if chunk[0].label is not None:
            found = map(labels_of, chunk)
            labels += [known.setdefault(one, one) for one in found]
        _add_codes(codes, texts, encoded)
    return Counted(
        np.array(characters, np.int64),
        size,
        np.array(digests, np.uint64),
        tuple(labels) if any(known) else (),
        codes,
        np.array(blank, np.int64),
    )


def _add_codes(codes: NDArray[np.int64], texts: list[str], encoded: list[bytes]) -> None:
    joined = "".join(texts)
    if joined.isascii():
        found = np.bincount(np.frombuffer(b"".join(encoded), np.uint8), minlength=1)
    else:
        wide = joined.encode("utf-32-le", "surrogatepass")
        found = np.bincount(np.frombuffer(wide, np.uint32), minlength=1)
    codes[: len(found)] += found


def count_words(split: Split) -> NDArray[np.int64]:
    """Words of each example, by white space, (n,)."""
    return np.array([len(text.split()) for text in whole_texts(split)], np.int64)


def tokenise(split: Split, tokenizer: Tokenizer) -> Tokenised:
    """A split's tokens, without truncation; those of further texts count with the text's.

    Where there is a second tokenizer, for what is written, the text alone.
    """
    text_of = (
        (lambda example: example.text) if target_of(tokenizer) is not tokenizer else whole_text
    )
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    lengths, unknown = [], []
    for chunk in split.chunks(CHUNK):
        rows = tokenizer.encode_many(list(map(text_of, chunk)))
        values = np.asarray(rows.values)
        counts += np.bincount(values, minlength=len(counts))[: len(counts)]
        lengths.append(np.diff(rows.offsets))
        sums = np.zeros(len(values) + 1, np.int64)
        if tokenizer.unknown_id is not None:
            np.cumsum(values == tokenizer.unknown_id, out=sums[1:])
        unknown.append(np.diff(sums[rows.offsets]))
    return Tokenised(_joined(lengths), _joined(unknown), counts)


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def percentiles(values: NDArray[np.int64]) -> dict[str, int]:
    """Lengths that shares of the examples have at most; whole numbers that occur."""
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES, method="inverted_cdf")
    return {str(at): int(value) for at, value in zip(PERCENTILES, found, strict=True)}


WIDTHS = ("FULLWIDTH", "HALFWIDTH")


@cache
def script(code: int) -> str:
    """The script of a letter, as its Unicode name begins: "Latin", "Cyrillic"; else "".

    Its ideographs are called "CJK"; their script is "Han", as the cleaning step has it.
    """
    letter = chr(code)
    if unicodedata.category(letter)[0] != "L":
        return ""
    words = unicodedata.name(letter, "").split()
    if words[:1] and words[0] in WIDTHS:
        words = words[1:]
    if not words or words[0] in ("MODIFIER", "FEMININE", "MASCULINE", "MICRO", "OHM", "KELVIN"):
        return ""
    first = words[0].partition("-")[0]
    return "Han" if first == "CJK" else first.capitalize()
