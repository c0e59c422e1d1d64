"""Scores of classes and label sets, from counts: memory does not grow with the examples.

Without any example every score is 0.0, as is a label's score where its denominator is 0
(scikit-learn's `zero_division=0`), so that an evaluation is always valid JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def __bool__(self) -> bool:
        return bool(self.counts)

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
        right, given = matrices.sum(axis=2), matrices.sum(axis=1)
        total, hits = right.sum(axis=1), np.trace(matrices, axis1=1, axis2=2)
        spread = (total**2 - (given**2).sum(axis=1)) * (total**2 - (right**2).sum(axis=1))
        together = hits * total - (given * right).sum(axis=1)
        return together / np.sqrt(np.where(spread > 0, spread, np.inf))

    def compute(self) -> Mapping[str, Any]:
        from sklearn.metrics import matthews_corrcoef

        references, predictions, counts = self.cells.arrays()
        if len({*references.tolist(), *predictions.tolist()}) < 2:
            return {"matthews": 0.0}
        found = matthews_corrcoef(references, predictions, sample_weight=counts)
        return {"matthews": float(found)}


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

    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Label sets with the same counts: references, predictions (rows, labels), weights."""
        assert self.counts is not None
        one = np.eye(self.counts.shape[1], dtype=np.int8)
        none = np.zeros_like(one)
        return (
            np.concatenate([one, none, one]),
            np.concatenate([one, one, none]),
            self.counts.ravel(),
        )

    def __bool__(self) -> bool:
        return self.counts is not None and bool(self.counts.any())

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
        scores: dict[str, Any] = {}
        if self.config.average == "binary":
            scores[self.name] = self._each()[self.positive]
        elif self.config.average != "none":
            scores[self.name] = self._average()
        if self.config.per_class or self.config.average == "none":
            each = self._each()
            scores.update(
                (f"{self.name}/{label}", score)
                for label, score in zip(self._labels(len(each)), each, strict=True)
            )
        return scores

    def of_matrices(self, matrices: NDArray[Any]) -> NDArray[np.float64]:
        """Averages (n,) of confusion matrices (n, labels, labels)."""
        hits = np.diagonal(matrices, axis1=1, axis2=2)
        given, right = matrices.sum(axis=1), matrices.sum(axis=2)
        average = self.config.average
        if average == "micro":
            hits, given, right = (one.sum(axis=1, keepdims=True) for one in (hits, given, right))
        bases = {"precision": given, "recall": right, "f1": (given + right) / 2}
        each = hits / np.where(bases[self.name] > 0, bases[self.name], np.inf)
        if average == "binary":
            return each[:, self.positive]
        weights = right if average == "weighted" else (given + right > 0)
        return (each * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)

    def _labels(self, size: int) -> Sequence[str]:
        return self.context.labels or [str(number) for number in range(size)]

    def _each(self) -> list[float]:
        """The score of every label, also of those that were not seen."""
        size = len(self.context.labels) or self.seen.size()
        if not self.seen:
            return [0.0] * size
        return _scikit_learn(self.name, self.seen, average=None, labels=range(size)).tolist()

    def _average(self) -> float:
        if not self.seen:
            return 0.0
        return float(_scikit_learn(self.name, self.seen, average=self.config.average))


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


def _scikit_learn(name: Score, seen: Cells | Decisions, **options: Any) -> Any:
    from sklearn import metrics

    score = {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
    }[name]
    references, predictions, counts = seen.arrays()
    # scikit-learn takes a number for zero_division, and says that it takes words alone.
    return score(references, predictions, sample_weight=counts, zero_division=0, **options)  # type: ignore[arg-type]
