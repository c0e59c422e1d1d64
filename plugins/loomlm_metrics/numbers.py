"""Scores of numbers: how far predictions are from what is right, and whether they go together.

Without any example every score is 0.0, as is a correlation where one side is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from loomlm.plugin import MetricContext, NoConfig, Outcome

NUMBERS = frozenset({"numbers"})


@define
class MeanError:
    """The mean of the squared or absolute differences, in the unit of the data."""

    name: Literal["mean_squared_error", "mean_absolute_error"]
    total: float = 0.0
    count: int = 0
    accepts = NUMBERS
    higher_is_better = False

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) numbers."""
        apart = _float64(outcome.predictions) - _float64(outcome.references)
        each = np.square(apart) if self.name == "mean_squared_error" else np.abs(apart)
        self.total += float(each.sum())
        self.count += each.size

    def compute(self) -> Mapping[str, Any]:
        return {self.name: self.total / max(self.count, 1)}


@define
class Correlation:
    """Pearson's correlation, of the numbers, or Spearman's, of their ranks. Keeps the numbers."""

    name: Literal["pearson", "spearman"]
    pairs: list[NDArray[np.float64]] = field(factory=list)
    accepts = NUMBERS
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) numbers."""
        both = (_float64(outcome.predictions), _float64(outcome.references))
        self.pairs.append(np.stack(both, axis=1))

    def compute(self) -> Mapping[str, Any]:
        from scipy import stats

        pairs = np.concatenate(self.pairs) if self.pairs else np.zeros((0, 2))
        if len(pairs) < 2 or (np.ptp(pairs, axis=0) == 0).any():
            return {self.name: 0.0}
        # Sums of floats depend on their order, and the score is not to.
        predictions, references = pairs[np.lexsort(pairs.T)].T
        correlate = stats.pearsonr if self.name == "pearson" else stats.spearmanr
        # The correlation, and the probability of one as large by chance.
        found = np.asarray(correlate(predictions, references), np.float64)
        return {self.name: float(found[0])}


@frozen
class Factory:
    """The target of these metrics: called with (config, MetricContext)."""

    make: Any
    name: str
    higher_is_better: bool
    accepts = NUMBERS

    def __call__(self, config: NoConfig, context: MetricContext) -> Any:
        return self.make(self.name)


mean_squared_error = Factory(MeanError, "mean_squared_error", False)
mean_absolute_error = Factory(MeanError, "mean_absolute_error", False)
pearson = Factory(Correlation, "pearson", True)
spearman = Factory(Correlation, "spearman", True)


def _float64(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)
