"""A metric: Matthews correlation, from counts, so that memory does not grow with the examples."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.plugin import MetricContext, NoConfig, Outcome


@define
class Matthews:
    """Matthews correlation for any number of classes (Gorodkin 2004, equation 8).

    1 is all right, 0 is no better than chance, and also what is given where the correlation is not
    defined, because all references or all predictions are of one class.
    """

    config: NoConfig
    context: MetricContext
    counts: np.ndarray = field(init=False)
    accepts = frozenset({"classes"})
    higher_is_better = True

    def __attrs_post_init__(self) -> None:
        classes = len(self.context.labels)
        self.counts = np.zeros((classes, classes))

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes; the last batch may have none."""
        np.add.at(self.counts, (outcome.references, outcome.predictions), 1)

    def compute(self) -> Mapping[str, Any]:
        """The correlation, under the name that the component has."""
        total = self.counts.sum()
        references, predictions = self.counts.sum(axis=1), self.counts.sum(axis=0)
        covariance = self.counts.trace() * total - references @ predictions
        spread = (total**2 - references @ references) * (total**2 - predictions @ predictions)
        return {"phi": float(covariance / sqrt(spread)) if spread else 0.0}
