"""A plugin of metrics: one that keeps every promise, and others that break one each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from loomlm.plugin import Component, MetricContext, NoConfig, Outcome, hookimpl


class Share:
    """The share of examples that are right."""

    accepts: Any = frozenset({"classes"})
    higher_is_better = True

    def __init__(self, config: NoConfig, context: MetricContext) -> None:
        self.right, self.total = 0, 0

    def update(self, outcome: Outcome) -> None:
        self.right += int(np.count_nonzero(outcome.predictions == outcome.references))
        self.total += len(outcome.predictions)

    def share(self) -> float:
        return self.right / self.total if self.total else 0.0

    def compute(self) -> Mapping[str, Any]:
        return {type(self).__name__: self.share()}


class AcceptsAList(Share):
    accepts = ["classes"]  # noqa: RUF012 - what is wrong with it


class SaysItOtherwise(Share):
    def __init__(self, config, context):
        super().__init__(config, context)
        self.higher_is_better = False


class HasAnotherName(Share):
    def compute(self):
        return {"share": self.share()}


class GivesNumpy(Share):
    def compute(self):
        return {type(self).__name__: np.float32(self.share()) if self.total else 0.0}


class CountsEmptyParts(Share):
    def update(self, outcome):
        super().update(outcome)
        self.total += not len(outcome.predictions)


class GoesByPlace(Share):
    def update(self, outcome):
        for one, other in zip(outcome.predictions, outcome.references, strict=True):
            self.place = getattr(self, "place", 0) + 1
            self.right += self.place * int(one == other)
            self.total += self.place


class AddsOne(Share):
    def share(self):
        return self.right / (self.total + 1)


class DividesByExamples(Share):
    def share(self):
        return self.right / self.total


class IsNoNumber(Share):
    def share(self):
        return self.right / self.total if self.total else float("nan")


class BeginsAgain(Share):
    def compute(self):
        scores = super().compute()
        self.right, self.total = 0, 0
        return scores


class SharesItsCounts(Share):
    counts: tuple[int, int] = (0, 0)

    def __init__(self, config, context):
        super().__init__(config, context)
        type(self).counts = (0, 0)

    def update(self, outcome):
        self.right, self.total = self.counts
        super().update(outcome)
        type(self).counts = (self.right, self.total)

    def compute(self):
        self.right, self.total = self.counts
        return super().compute()


class WritesIntoTheOutcome(Share):
    def update(self, outcome):
        super().update(outcome)
        outcome.predictions[:] = 0


class IsTurnedRound(Share):
    higher_is_better = False


@hookimpl
def loomlm_metrics() -> list[Component]:
    return [
        Component(kind="metric", name=name, summary="", target=f"{__name__}:{name}")
        for name, made in list(globals().items())
        if isinstance(made, type) and issubclass(made, Share)
    ]
