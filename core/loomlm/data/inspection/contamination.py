"""Evaluation examples that also stand in training text, by runs of words that both have.

As Brown et al. 2020 (GPT-3), appendix C: an example is contaminated when a run of N of its words
stands in the training text, N being the 5th percentile of the examples' lengths in words, at least
8 and at most 13. An example with 8 words or more but fewer than N is looked for as a whole; one
with fewer than 8 counts only where a whole training text, or a line of one, is the same words,
since shorter runs stand in any text.

Held are 64-bit numbers of the evaluation examples' runs; the training text passes by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from loomlm.data.examples import Split
from loomlm.data.inspection.texts import pick, whole_texts
from loomlm.data.inspection.words import Numbers, WordReader, Words

SHORTEST, LONGEST = 8, 13
"""The least and the most that N may be, as the paper has them."""

PERCENTILE = 5

MOST = 0.8
"""From this share of its runs on, an example stands in the training text for the most part: the
bound that Touvron et al. 2023 (Llama 2), A.6, call dirty."""

SLOTS = 16
"""Of the filter, for each run that is looked for: about one run in 16 passes it by chance."""

LARGEST_FILTER = 1 << 28


@frozen
class Hit:
    """An example that stands in training text.

    row: of its split. share: of its runs of words that the training text has. place, training:
    where it stands, and where the first of the training texts with a run of it does.
    """

    row: int
    share: float
    place: str
    training: str


@frozen
class Contamination:
    """Of one split: the length N of the runs, how many examples have words, and those found."""

    n: int
    examples: int
    hits: tuple[Hit, ...]

    @property
    def share(self) -> float:
        """Of the examples, those with any run of words in the training text."""
        return len(self.hits) / max(self.examples, 1)

    @property
    def mostly(self) -> int:
        """How many examples stand in the training text for the most part."""
        return sum(hit.share >= MOST for hit in self.hits)


def contamination(
    evaluated: Mapping[str, Split], training: Mapping[str, Split]
) -> dict[str, Contamination]:
    """Of each evaluated split, what the training splits have of it; one pass over each."""
    reader = WordReader()
    wanted = {
        name: Wanted.of(reader, whole_texts(split)) for name, split in evaluated.items() if split
    }
    seen = 0
    starts = []
    for split in training.values():
        starts.append(seen)
        for words in reader.words(whole_texts(split)):
            for one in wanted.values():
                one.look(words, seen)
        seen += len(split)

    def training_place(text: int) -> str:
        index = int(np.searchsorted(starts, text, side="right")) - 1
        name, split = list(training.items())[index]
        return f"{name} {pick(split, [text - starts[index]])[0].place}"

    found = {}
    for name, one in wanted.items():
        rows, shares, texts = one.found()
        examples = pick(evaluated[name], rows)
        hits = tuple(
            Hit(int(row), float(share), example.place, training_place(int(text)))
            for row, share, text, example in zip(rows, shares, texts, examples, strict=True)
        )
        found[name] = Contamination(one.n, one.examples, hits)
    return found


@define
class Wanted:
    """The runs of words of a split's examples, and which of them were seen.

    n: the length that most runs have. examples: how many have words. runs: by length, one table for
    each. whole: the examples that count as a whole, whose words are fewer than SHORTEST.
    """

    reader: WordReader
    n: int
    examples: int
    runs: Mapping[int, Table]
    whole: Table

    @classmethod
    def of(cls, reader: WordReader, texts: Iterable[str]) -> Wanted:
        """The runs of words of texts, which are read once."""
        numbers, counts = _all_words(reader, texts)
        some = counts[counts > 0]
        n = int(np.clip(np.percentile(some, PERCENTILE) if len(some) else 0, SHORTEST, LONGEST))
        starts = np.cumsum(counts) - counts
        runs = {n: Table.of(*_runs(reader, numbers, starts, counts, n))}
        for length in range(SHORTEST, n):
            rows = np.flatnonzero(counts == length)
            if len(rows):
                of_length = reader.run(numbers, starts[rows], starts[rows] + length)
                runs[length] = Table.of(rows, of_length)
        short = np.flatnonzero((counts > 0) & (counts < SHORTEST))
        whole = reader.run(numbers, starts[short], starts[short] + counts[short])
        return cls(reader, n, len(some), runs, Table.of(short, whole))

    def look(self, words: Words, before: int) -> None:
        """Look for the runs in some words of a training split, `before` texts behind the first."""
        for length, table in self.runs.items():
            runs = self.reader.runs(words.numbers, length)
            texts = words.texts[: len(runs)]
            inside = texts == words.texts[length - 1 :][: len(runs)]
            table.mark(runs, texts + before, inside)
        if len(self.whole.numbers):
            for parts in (words.lines, words.texts):
                self._look_for_wholes(words, parts, before)

    def _look_for_wholes(self, words: Words, parts: NDArray[np.int64], before: int) -> None:
        """Look for short examples among whole lines, or whole texts."""
        bounds = np.flatnonzero(np.diff(parts, prepend=-1, append=-1))
        start, end = bounds[:-1], bounds[1:]
        short = end - start < SHORTEST
        runs = self.reader.run(words.numbers, start[short], end[short])
        self.whole.mark(runs, words.texts[start[short]] + before)

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Rows that were found, the share of their runs, and the first training text with one."""
        parts = [table.found() for table in (*self.runs.values(), self.whole)]
        rows, shares, texts = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.argsort(rows)
        return rows[order], shares[order], texts[order]


@define
class Table:
    """Runs that are looked for, with the rows that have them.

    rows, run_of: (uses,), an example and the index of a run that it has. numbers: (runs,), sorted,
    each once. seen: (runs,), the number of the first training text with it, and 1; or 0.
    """

    rows: NDArray[np.int64]
    run_of: NDArray[np.int64]
    numbers: Numbers
    _filter: NDArray[np.bool_]
    _shift: np.uint64
    seen: NDArray[np.int64] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.seen = np.zeros(len(self.numbers), np.int64)

    @classmethod
    def of(cls, rows: NDArray[np.int64], runs: Numbers) -> Table:
        """A table of the runs that rows have, (uses,) each."""
        numbers, run_of = np.unique(runs, return_inverse=True)
        bits = min(max(16, (len(numbers) * SLOTS).bit_length()), LARGEST_FILTER.bit_length() - 1)
        shift = np.uint64(64 - bits)
        filled = np.zeros(1 << bits, bool)
        filled[numbers >> shift] = True
        return cls(rows, run_of, numbers, filled, shift)

    def mark(
        self, runs: Numbers, texts: NDArray[np.int64], only: NDArray[np.bool_] | None = None
    ) -> None:
        """Say that training texts have these runs; `only` where that is true."""
        if not len(self.numbers):
            return
        maybe = np.flatnonzero(self._filter[runs >> self._shift])
        if only is not None:
            maybe = maybe[only[maybe]]
        runs, texts = runs[maybe], texts[maybe]
        at = np.minimum(np.searchsorted(self.numbers, runs), len(self.numbers) - 1)
        new = (self.numbers[at] == runs) & (self.seen[at] == 0)
        # Of several texts with a run the first is to stay: it is written last.
        self.seen[at[new][::-1]] = texts[new][::-1] + 1

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """See Wanted.found."""
        seen = self.seen[self.run_of]
        count = int(self.rows.max()) + 1 if len(self.rows) else 0
        hits = np.bincount(self.rows, seen > 0, count)
        rows = np.flatnonzero(hits)
        shares = hits[rows] / np.bincount(self.rows, minlength=count)[rows]
        first = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(first, self.rows[seen > 0], seen[seen > 0] - 1)
        return rows, shares, first[rows]


def _all_words(reader: WordReader, texts: Iterable[str]) -> tuple[Numbers, NDArray[np.int64]]:
    """The numbers of all words, and how many of them each text has."""
    numbers, of = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for words in reader.words(texts):
        numbers.append(words.numbers)
        of.append(words.texts)
    return np.concatenate(numbers), np.bincount(np.concatenate(of))


def _runs(
    reader: WordReader,
    numbers: Numbers,
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    n: int,
) -> tuple[NDArray[np.int64], Numbers]:
    """The runs of n words of the examples that have as many, with their rows."""
    each = np.maximum(counts - n + 1, 0)
    rows = np.repeat(np.arange(len(counts)), each)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(each) - each, each)
    start = starts[rows] + within
    return rows, reader.run(numbers, start, start + n)
