"""Repairs labels: other names for some, none for others."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from loomlm.plugin import Dropped, Example, UsageError, did_you_mean
from loomlm_cleaning.config import LabelsConfig

ORDER = ("test", "validation", "train")
"""In which splits come."""


class Labels:
    """See `labels_step`."""

    def __init__(self, config: LabelsConfig) -> None:
        self.splits = config.splits
        self._map, self._drop = config.map, frozenset(config.drop)
        self._seen: set[str] = set()

    def fit(self, examples: Iterable[Example], others: Iterable[Example], split: str = "") -> None:
        """Note the labels that occur; behind the last split, compare them with those named.

        Raises UsageError for a label in `map` or `drop` that no example has.
        """
        for part in (others, examples):
            self._seen.update(label for example in part for label in _all(example.label))
        if split != next((name for name in reversed(ORDER) if name in self.splits), None):
            return
        known = self._seen | {self._map.get(label, label) for label in self._seen}
        for name, where in (
            *((name, "map") for name in self._map),
            *((n, "drop") for n in self._drop),
        ):
            if name not in (self._seen if where == "map" else known):
                raise UsageError(
                    f"`labels`: {where} names {name!r}, which no example has. "
                    f"{did_you_mean(name, known)}"
                )

    def example(self, example: Example) -> Example | Dropped:
        """The example with its labels as they are to be, or that its label is left out."""
        if example.label is None:
            return example
        renamed = [self._map.get(label, label) for label in _all(example.label)]
        kept = tuple(dict.fromkeys(label for label in renamed if label not in self._drop))
        if renamed and not kept:
            return Dropped(f"label {renamed[0]}")
        label = kept if isinstance(example.label, tuple) else kept[0]
        return example if label == example.label else evolve(example, label=label)


def labels_step(config: LabelsConfig) -> Labels:
    """Gives labels other names, several the same one too, and leaves labels out.

    `map` is carried out once and at a time, so that names can be exchanged. An example goes with
    its last label. A name in `map` or `drop` that is no label of any split is an error, since it is
    misspelt: the labels of the data are looked at first. Memory: each different label once.
    """
    return Labels(config)


def _all(label: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label or ()
