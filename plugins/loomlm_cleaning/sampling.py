"""Takes some examples by chance, so that a few labels can stand for few labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from loomlm.plugin import Dropped, Example
from loomlm_cleaning.config import SampleConfig

Label = str | tuple[str, ...] | None


class Sampled:
    """See `sample_step`."""

    def __init__(self, config: SampleConfig) -> None:
        self.splits = config.splits
        self._config = config

    def fit(self, examples: Iterable[Example], others: Iterable[Example]) -> None:
        """Choose the examples, by where they stand; reads them once."""
        rows: defaultdict[Label, list[int]] = defaultdict(list)
        count = 0
        for example in examples:
            rows[example.label if self._config.stratify else None].append(count)
            count += 1
        key = np.array([self._config.seed, 0], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        groups = [rows[label] for label in sorted(rows, key=repr)]
        sizes = shares(self._config.examples, [len(group) for group in groups])
        self._taken = frozenset(
            int(row)
            for group, size in zip(groups, sizes, strict=True)
            for row in generator.permutation(np.array(group, np.int64))[:size]
        )
        self._few = count if count < self._config.examples else None
        self._row = 0

    def example(self, example: Example) -> Example | Dropped:
        """The example, or that it was not drawn."""
        row, self._row = self._row, self._row + 1
        return example if row in self._taken else Dropped("not drawn")

    def notes(self, split: str) -> tuple[str, ...]:
        """That there were fewer than were asked for."""
        if self._few is None:
            return ()
        return (
            f"{split} has {self._few:,} examples, and {self._config.examples:,} were to be drawn",
        )


def shares(wanted: int, sizes: list[int]) -> list[int]:
    """Of each group so many that all are `wanted`, by size: the largest remainders round up."""
    total = sum(sizes)
    if wanted >= total:
        return list(sizes)
    exact = [wanted * size / total for size in sizes]
    found = [int(share) for share in exact]
    order = sorted(range(len(sizes)), key=lambda at: (found[at] - exact[at], at))
    for at in order[: wanted - sum(found)]:
        found[at] += 1
    return found


def sample_step(config: SampleConfig) -> Sampled:
    """Takes so many examples by chance, each label by its share, and leaves the others out.

    They are the same for the same seed and the same examples in front of the step. Memory: 8 bytes
    an example.
    """
    return Sampled(config)
