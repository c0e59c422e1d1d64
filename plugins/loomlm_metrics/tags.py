"""Scores of the tags of words: entities as conlleval and seqeval count them, and single tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.plugin import MetricContext, NoConfig, Outcome, entities
from loomlm_metrics.config import EntityConfig

SEQUENCES = frozenset({"tag_sequences"})


@define
class EntityF1:
    """F1 of entities: one is right where type, first and last word are (Tjong Kim Sang 2003).

    The micro average over all entities, as seqeval's default mode gives it; a score whose
    denominator is 0 is 0.0.
    """

    config: EntityConfig
    context: MetricContext
    right: Counter[str] = field(factory=Counter, init=False)
    given: Counter[str] = field(factory=Counter, init=False)
    wanted: Counter[str] = field(factory=Counter, init=False)
    accepts = SEQUENCES
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in sequences of tags, by their numbers."""
        for predicted, reference in zip(outcome.predictions, outcome.references, strict=True):
            given, wanted = set(self._entities(predicted)), set(self._entities(reference))
            for counts, found in (
                (self.given, given),
                (self.wanted, wanted),
                (self.right, given & wanted),
            ):
                counts.update(kind for kind, _, _ in found)

    def compute(self) -> Mapping[str, Any]:
        """`entity_f1`, with /precision and /recall; with `per_type` also `entity_f1/TYPE`."""
        precision, recall, f1 = _scores(self.right.total(), self.given.total(), self.wanted.total())
        scores = {"entity_f1": f1, "entity_f1/precision": precision, "entity_f1/recall": recall}
        if self.config.per_type:
            for kind in sorted(self.given | self.wanted):
                counts = self.right[kind], self.given[kind], self.wanted[kind]
                scores[f"entity_f1/{kind}"] = _scores(*counts)[2]
        return scores

    def _entities(self, tags: Any) -> list[tuple[str, int, int]]:
        names = self.context.labels
        return entities([names[tag] if names else str(tag) for tag in np.asarray(tags).tolist()])


@define
class TagAccuracy:
    """Share of words that have the right tag; 0.0 without a word."""

    config: NoConfig
    context: MetricContext
    right: int = field(default=0, init=False)
    total: int = field(default=0, init=False)
    accepts = SEQUENCES
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in sequences of tags, by their numbers."""
        for predicted, reference in zip(outcome.predictions, outcome.references, strict=True):
            self.right += int((np.asarray(predicted) == np.asarray(reference)).sum())
            self.total += len(reference)

    def compute(self) -> Mapping[str, Any]:
        return {"tag_accuracy": self.right / self.total if self.total else 0.0}


def _scores(right: int, given: int, wanted: int) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    both = given + wanted
    return (
        right / given if given else 0.0,
        right / wanted if wanted else 0.0,
        2 * right / both if both else 0.0,
    )
