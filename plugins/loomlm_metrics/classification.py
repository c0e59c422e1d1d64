"""Scores of classes and label sets, from counts: memory does not grow with the examples.

Without any example every score is 0.0, as is a label's score where its denominator is 0
(scikit-learn's `zero_division=0`), so that an evaluation is always valid JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from loomlm.plugin import MetricContext, NoConfig, Outcome, UsageError, did_you_mean
from loomlm_metrics.config import AverageConfig

BOTH = frozenset({"classes", "label_sets"})
Score = Literal["precision", "recall", "f1"]


@define
class Accuracy:
    """Share of examples whose prediction equals the reference; a label set counts as a whole."""

    config: NoConfig
    context: MetricContext
    right: int = 0
    total: int = 0
    accepts = BOTH | {"tokens"}
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes or tokens, or (examples, labels) label sets of 0 and 1."""
        equal = np.asarray(outcome.predictions) == np.asarray(outcome.references)
        if self.context.produces == "label_sets":
            equal = equal.all(axis=-1)
        self.right += int(np.count_nonzero(equal))
        self.total += equal.size

    def of_matrices(self, matrices: NDArray[Any]) -> NDArray[np.float64]:
        """Scores (n,) of confusion matrices (n, labels, labels)."""
        right, total = np.trace(matrices, axis1=1, axis2=2), matrices.sum(axis=(1, 2))
        return right / np.maximum(total, 1)

    def compute(self) -> Mapping[str, Any]:
        return {"accuracy": self.right / self.total if self.total else 0.0}


@define
class Cells:
    """The cells of a confusion matrix that are not 0: (reference, prediction) to count."""

    counts: dict[tuple[int, int], int] = field(factory=dict)

    def add(self, references: NDArray[Any], predictions: NDArray[Any]) -> None:
        """Count pairs of classes; both arrays have one shape."""
        pairs = np.stack([np.ravel(references), np.ravel(predictions)], axis=1).astype(np.int64)
        cells, counts = np.unique(pairs, axis=0, return_counts=True)
        for (reference, prediction), count in zip(cells.tolist(), counts.tolist(), strict=True):
            cell = (reference, prediction)
            self.counts[cell] = self.counts.get(cell, 0) + count

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """References, predictions and counts, (cells,) each, in the order of the cells."""
        rows = np.array([(*cell, self.counts[cell]) for cell in sorted(self.counts)], np.int64)
        references, predictions, counts = rows.reshape(-1, 3).T
        return references, predictions, counts

    def sums(self, size: int) -> NDArray[np.int64]:
        """For each of so many classes how often it was right, given and wanted, (3, size)."""
        references, predictions, counts = self.arrays()
        found = np.zeros((3, size), np.int64)
        hits = references == predictions
        np.add.at(found[0], references[hits], counts[hits])
        np.add.at(found[1], predictions, counts)
        np.add.at(found[2], references, counts)
        return found

    def size(self) -> int:
        """One more than the largest class."""
        return 1 + max((max(cell) for cell in self.counts), default=-1)


@define
class ConfusionMatrix:
    """How often each reference (row) got each prediction (column)."""

    config: NoConfig
    context: MetricContext
    cells: Cells = field(factory=Cells)
    accepts = frozenset({"classes"})
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes."""
        self.cells.add(outcome.references, outcome.predictions)

    def compute(self) -> Mapping[str, Any]:
        size = max(len(self.context.labels), self.cells.size())
        matrix = np.zeros((size, size), np.int64)
        references, predictions, counts = self.cells.arrays()
        matrix[references, predictions] = counts
        return {"confusion_matrix": matrix.tolist()}


@define
class Matthews:
    """Matthews' correlation of references and predictions, also of more than two classes
    (Gorodkin 2004): 1 where all is right, 0 for what any guess would reach.
    """

    config: NoConfig
    context: MetricContext
    cells: Cells = field(factory=Cells)
    accepts = frozenset({"classes"})
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes."""
        self.cells.add(outcome.references, outcome.predictions)

    def of_matrices(self, matrices: NDArray[Any]) -> NDArray[np.float64]:
        """Scores (n,) of confusion matrices (n, labels, labels)."""
        return _correlation(*_sums(matrices))

    def compute(self) -> Mapping[str, Any]:
        sums = self.cells.sums(self.cells.size()).astype(np.float64)
        return {"matthews": float(_correlation(*sums[:, None])[0])}


@define
class Decisions:
    """For each label of label sets: how often it was rightly, wrongly and wrongly not given.

    counts: (3, labels), or None before the first example.
    """

    counts: NDArray[np.int64] | None = None

    def add(self, references: NDArray[Any], predictions: NDArray[Any]) -> None:
        """Count label sets, (examples, labels) of 0 and 1."""
        right, given = np.asarray(references) > 0, np.asarray(predictions) > 0
        counts = np.stack(
            [(right & given).sum(0), (~right & given).sum(0), (right & ~given).sum(0)]
        )
        self.counts = counts if self.counts is None else self.counts + counts

    def sums(self, size: int) -> NDArray[np.int64]:
        """For each of so many labels how often it was right, given and wanted, (3, size)."""
        if self.counts is None:
            return np.zeros((3, size), np.int64)
        hits, wrong, missed = self.counts
        return np.stack([hits, hits + wrong, hits + missed])

    def size(self) -> int:
        """The number of labels seen."""
        return 0 if self.counts is None else self.counts.shape[1]


@define
class Averaged:
    """Precision, recall or F1. As in scikit-learn, the average over classes is over those that
    stand in the references or the predictions; over label sets, it is over all labels.
    """

    name: Score
    config: AverageConfig
    context: MetricContext
    seen: Cells | Decisions
    positive: int
    accepts = BOTH
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes, or (examples, labels) label sets of 0 and 1."""
        self.seen.add(outcome.references, outcome.predictions)

    def compute(self) -> Mapping[str, Any]:
        """The average under the metric's name; each label's score as `name/label`."""
        size = len(self.context.labels) or self.seen.size()
        sums = self.seen.sums(max(size, self.seen.size()))[:, None]
        scores: dict[str, Any] = {}
        if self.config.average != "none":
            scores[self.name] = float(self._average(*sums)[0])
        if self.config.per_class or self.config.average == "none":
            each = _shares(self.name, *sums)[0, :size].tolist()
            labels = self.context.labels or map(str, range(size))
            scores.update(
                (f"{self.name}/{label}", score) for label, score in zip(labels, each, strict=True)
            )
        return scores

    def of_matrices(self, matrices: NDArray[Any]) -> NDArray[np.float64]:
        """Averages (n,) of confusion matrices (n, labels, labels)."""
        return self._average(*_sums(matrices))

    def _average(
        self, hits: NDArray[Any], given: NDArray[Any], wanted: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Averages (n,) of what stands right, given and wanted of each label, (n, labels)."""
        average = self.config.average
        if average == "micro":
            hits, given, wanted = (one.sum(axis=1, keepdims=True) for one in (hits, given, wanted))
        each = _shares(self.name, hits, given, wanted)
        if average == "binary":
            return each[:, self.positive]
        if average == "weighted":
            weights = wanted
        elif isinstance(self.seen, Decisions):
            weights = np.ones_like(wanted)
        else:
            weights = given + wanted > 0
        return (each * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)


@frozen
class AveragedFactory:
    """The target of `precision`, `recall` and `f1`: called with (config, MetricContext)."""

    name: Score
    accepts = BOTH
    higher_is_better = True

    def __call__(self, config: AverageConfig, context: MetricContext) -> Averaged:
        seen = Decisions() if context.produces == "label_sets" else Cells()
        positive = _positive(self.name, config, context.labels)
        return Averaged(self.name, config, context, seen, positive)


precision = AveragedFactory("precision")
recall = AveragedFactory("recall")
f1 = AveragedFactory("f1")


def _positive(name: str, config: AverageConfig, labels: tuple[str, ...]) -> int:
    """The id of the label that "binary" scores; the last one unless the config names one."""
    if config.average != "binary":
        return -1
    if not labels:
        raise UsageError(
            f'The metric {name} with average = "binary" needs labels, and the task has none. '
            'Take average = "macro".'
        )
    if config.positive is None:
        return len(labels) - 1
    if config.positive not in labels:
        raise UsageError(
            f"The metric {name} has positive = {config.positive!r}, which is no label of the task. "
            f"{did_you_mean(config.positive, labels)}"
        )
    return labels.index(config.positive)


def _sums(matrices: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """What stands right, given and wanted of each label, (n, labels), in confusion matrices."""
    return np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=1), matrices.sum(axis=2)


def _shares(
    name: Score, hits: NDArray[Any], given: NDArray[Any], wanted: NDArray[Any]
) -> NDArray[np.float64]:
    """Each label's score (van Rijsbergen 1979). scikit-learn's take a second to import."""
    base = {"precision": given, "recall": wanted, "f1": (given + wanted) / 2}[name]
    return hits / np.where(base > 0, base, np.inf)


def _correlation(
    hits: NDArray[Any], given: NDArray[Any], wanted: NDArray[Any]
) -> NDArray[np.float64]:
    """Matthews', (n,), of what stands right, given and wanted of each label, (n, labels)."""
    total = wanted.sum(axis=1)
    spread = (total**2 - (given**2).sum(axis=1)) * (total**2 - (wanted**2).sum(axis=1))
    together = hits.sum(axis=1) * total - (given * wanted).sum(axis=1)
    return together / np.sqrt(np.where(spread > 0, spread, np.inf))
