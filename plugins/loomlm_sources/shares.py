"""Which split a file goes to, and which texts stay, so that splits share none."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
# Two texts are near copies when they share this much of their runs of three words, or when one has
# all runs of the other, were they at least so many.
ALIKE = 0.7
WHOLE = 4


def assigned(sizes: Mapping[str, int]) -> dict[str, str]:
    """The split of each name, near SHARES of the sizes; each split has one if there are three.

    The largest comes first, those of a size in the order of their digests, and goes where most is
    missing: the result depends on names and sizes alone.
    """
    missing = {split: share * sum(sizes.values()) for split, share in SHARES.items()}
    splits: dict[str, str] = {}
    order = sorted(sizes, key=lambda name: (-sizes[name], _digest(name)))
    for left, name in zip(range(len(order), 0, -1), order, strict=True):
        empty = [split for split in SHARES if split not in splits.values()]
        split = max(empty if left <= len(empty) else SHARES, key=missing.__getitem__)
        splits[name] = split
        missing[split] -= sizes[name]
    return splits


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def without_copies(texts: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """The positions in each split that stay, so that each text stands once, and in one split.

    A text of several splits stays in test rather than validation, and there rather than in train.
    Near copies within a split stay; across splits they go by the same rule, as does a text with
    one of another split inside.
    """
    seen: set[str] = set()
    earlier = _Runs()
    kept: dict[str, list[int]] = {split: [] for split in texts}
    for split in ("test", "validation", "train"):
        for position, text in enumerate(texts[split]):
            folded = " ".join(text.split())
            if folded not in seen and not earlier.have_near(text):
                seen.add(folded)
                kept[split].append(position)
        if split != "train":
            earlier.add(texts[split])
    return kept


class _Runs:
    """Texts by their runs of three words."""

    def __init__(self) -> None:
        self._texts_with: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._lengths: list[int] = []

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            runs = _runs(text)
            for run in runs:
                self._texts_with[run].append(len(self._lengths))
            self._lengths.append(len(runs))

    def have_near(self, text: str) -> bool:
        runs = _runs(text)
        shared = Counter(number for run in runs for number in self._texts_with.get(run, ()))
        for number, common in shared.items():
            length = self._lengths[number]
            if common == length >= WHOLE or common >= ALIKE * (len(runs) + length - common):
                return True
        return False


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(words, words[1:], words[2:], strict=False))
