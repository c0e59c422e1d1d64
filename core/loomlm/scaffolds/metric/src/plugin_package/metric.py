"""A metric: Cohen's kappa, from counts, so that memory does not grow with a split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import define, field
from loomlm.plugin import MetricContext, Outcome

from plugin_package import KappaConfig

POWERS = {"linear": 1, "quadratic": 2}


@define
class Kappa:
    """Agreement beyond chance (Cohen 1960; with weights, Cohen 1968).

    1 minus the disagreement that was seen by the one that chance would give. It is 0
    where chance would give none, because there is one label, or no example, only.

    `accepts` says which of a task's `produces` the metric can score; `higher_is_better`
    is what choosing the best checkpoint goes by. Both are looked up on the class too,
    so that a config is checked before there is data. See `loomlm.plugin.Metric`.
    """

    config: KappaConfig
    context: MetricContext
    counts: np.ndarray = field(init=False)

    accepts = frozenset({"classes"})
    higher_is_better = True

    def __attrs_post_init__(self) -> None:
        labels = len(self.context.labels)
        self.counts = np.zeros((labels, labels))

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes; a batch may have none."""
        np.add.at(self.counts, (outcome.references, outcome.predictions), 1)

    def compute(self) -> Mapping[str, Any]:
        """The score under the component's name; `name/detail` for further ones."""
        seen = self.counts
        chance = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / max(seen.sum(), 1)
        weights = self._weights(len(seen))
        by_chance = (weights * chance).sum()
        kappa = 1 - (weights * seen).sum() / by_chance if by_chance else 0.0
        return {"plugin_component": float(kappa)}

    def _weights(self, labels: int) -> np.ndarray:
        """What a mistake counts, (references, predictions)."""
        if self.config.weights == "none":
            return 1 - np.eye(labels)
        order = np.arange(labels)
        apart = np.abs(order[:, None] - order)
        return apart ** POWERS[self.config.weights]
