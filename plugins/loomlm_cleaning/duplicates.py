"""Steps that leave out what stands somewhere else already: exact and near duplicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.plugin import Dropped, Example, near_duplicates
from loomlm_cleaning.config import DuplicatesConfig, NearDuplicatesConfig
from loomlm_cleaning.digests import Digests, digest, folded
from loomlm_cleaning.lines import with_parts

PARAGRAPH_END = re.compile(r"\n\s*\n")

Rows = NDArray[np.int64]
Find = Callable[[Iterable[str], int], Rows]
"""The texts of two splits end to end, and how many are of the first: for each text the row of the
first one that it repeats, -1 without one."""


class Repeats:
    """Leaves out examples that repeat another one, as `find` tells them."""

    def __init__(self, find: Find, splits: tuple[str, ...], across: bool, what: str) -> None:
        self.splits = splits
        self._find, self._across, self._what = find, across, what

    def fit(self, examples: Iterable[Example], others: Iterable[Example]) -> None:
        """Find the repeats among the examples, and of the others; reads both once more for that."""
        before = others if self._across else ()
        self._elsewhere = sum(1 for _ in before)
        first = self._find(_Texts(before, examples), self._elsewhere)
        self._first = first[self._elsewhere :].tolist()
        self._wanted = set(self._first)
        self._places = {
            row: example.place for row, example in enumerate(before) if row in self._wanted
        }
        self._row = 0

    def example(self, example: Example) -> Example | Dropped:
        """The example, or where the one stands that it repeats."""
        row, self._row = self._row, self._row + 1
        first = self._first[row]
        if first >= 0:
            where = "in another split" if first < self._elsewhere else "of an earlier one"
            return Dropped(f"{self._what} {where}", self._places[first])
        if self._elsewhere + row in self._wanted:
            self._places[self._elsewhere + row] = example.place
        return example


@frozen
class _Texts:
    """The texts of two splits, as often as they are asked for."""

    before: Iterable[Example]
    examples: Iterable[Example]

    def __iter__(self) -> Iterator[str]:
        for example in chain(self.before, self.examples):
            yield "\n".join([example.text, *example.extra.values()])


class RepeatedParts:
    """Takes out of texts the paragraphs or lines that an earlier text has."""

    def __init__(self, config: DuplicatesConfig) -> None:
        self.splits = config.splits
        self._config = config
        self._joined_by = "\n" if config.by == "line" else "\n\n"

    def fit(self, examples: Iterable[Example], others: Iterable[Example]) -> None:
        """Find the parts that an earlier text has."""
        found, elsewhere = Digests(), 0
        for example in others if self._config.across else ():
            found.add(self._digests(example.text))
            elsewhere += 1
        for example in examples:
            found.add(self._digests(example.text))
        first, own = found.first_texts()
        # A refrain in the text itself is not taken out.
        self._goes = iter((first < own)[own >= elsewhere])

    def example(self, example: Example) -> Example | Dropped:
        """The example without them, or that nothing is left of it."""
        parts = self._parts(example.text)
        stay = [part for part in parts if not (self._counts(part) and next(self._goes))]
        return with_parts(example, stay, len(parts), self._joined_by)

    def _parts(self, text: str) -> list[str]:
        return text.split("\n") if self._config.by == "line" else PARAGRAPH_END.split(text)

    def _counts(self, part: str) -> bool:
        return len(part.split()) >= self._config.min_words

    def _digests(self, text: str) -> list[bytes]:
        fold = folded if self._config.folded else str.strip
        return [digest(fold(part)) for part in self._parts(text) if self._counts(part)]


def duplicates_step(config: DuplicatesConfig) -> Repeats | RepeatedParts:
    """Leaves out, or takes out of texts, what stands earlier: in the split, or in one that came
    before it.

    By document, examples are compared with all their fields but the label, and the first one stays.
    By paragraph (between blank lines) and by line, `text` alone is looked at: what an earlier text
    has goes, and an example of which nothing is left. Splits come in the order test, validation,
    train, so training examples that stand in the others are left out, and never theirs.

    Memory: digests of 128 bits and no texts; 80 bytes for each example, paragraph or line while
    they are compared, then 8 for an example and 1 for a paragraph or line.
    """
    if config.by != "document":
        return RepeatedParts(config)
    return Repeats(partial(_same, config.folded), config.splits, config.across, "the same text")


def _same(fold: bool, texts: Iterable[str], elsewhere: int) -> Rows:
    found = Digests()
    for text in texts:
        found.add([digest(folded(text) if fold else text)])
    first, own = found.first_texts()
    return np.where(first < own, first, -1)


def near_duplicates_step(config: NearDuplicatesConfig) -> Repeats:
    """Leaves out texts that share most of their shingles with an earlier one (MinHash, Broder 1997;
    candidates are compared exactly).

    Examples are compared with all their fields but the label. Splits come in the order test,
    validation, train, so training examples that nearly stand in the others are left out. A text is
    compared with those that stay, so that a chain of small changes is cut where it has become
    another text.

    Memory: at the defaults 84 bytes for each example, twice that for a moment, 8 for each word of
    those that may have a near-duplicate, and some 80 MB. Reads the examples twice.
    """

    def find(texts: Iterable[str], elsewhere: int) -> Rows:
        return near_duplicates(
            texts,
            config.threshold,
            words=config.words,
            permutations=config.permutations,
            kept=elsewhere,
        )

    return Repeats(find, config.splits, config.across, "a near copy")
