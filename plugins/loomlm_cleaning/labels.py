"""Repairs labels: other names for some, none for others."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from loomlm.plugin import Dropped, Example, did_you_mean
from loomlm_cleaning.config import LabelsConfig


class Labels:
    """See `labels_step`."""

    def __init__(self, config: LabelsConfig) -> None:
        self.splits = config.splits
        self._map, self._drop = config.map, frozenset(config.drop)
        self._seen: set[str] = set()

    def example(self, example: Example) -> Example | Dropped:
        """The example with its labels as they are to be, or that its label is left out."""
        if example.label is None:
            return example
        given = _all(example.label)
        self._seen.update(given)
        renamed = [self._map.get(label, label) for label in given]
        kept = tuple(dict.fromkeys(label for label in renamed if label not in self._drop))
        if renamed and not kept:
            return Dropped(f"label {renamed[0]}")
        label = kept if isinstance(example.label, tuple) else kept[0]
        return example if label == example.label else evolve(example, label=label)

    def notes(self, split: str) -> tuple[str, ...]:
        """Names that no training example has: likely misspelt."""
        if split != "train":
            return ()
        seen, self._seen = self._seen, set()
        known = seen | {self._map.get(label, label) for label in seen}
        return tuple(self._unknown(seen, known))

    def _unknown(self, seen: set[str], known: set[str]) -> Iterator[str]:
        named = [("map", name, seen) for name in self._map]
        named += [("drop", name, known) for name in sorted(self._drop)]
        for where, name, there in named:
            if name not in there:
                hint = did_you_mean(name, there)
                yield f"`{where}` names the label {name!r}, which no example has. {hint}"


def labels_step(config: LabelsConfig) -> Labels:
    """Gives labels other names, several the same one too, and leaves labels out.

    `map` is carried out once and at a time, so that names can be exchanged. An example goes with
    its last label. A name in `map` or `drop` that no example has is told, since it may be misspelt.
    Memory: each different label once.
    """
    return Labels(config)


def _all(label: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label or ()
