"""Scores of the probabilities that a model gives to classes and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from loomlm.plugin import MetricContext, NoConfig, Outcome, UsageError
from loomlm_metrics.config import CalibrationConfig


@define
class RocAuc:
    """Area under the curve of true by false positives: how often a text that has a label gets a
    higher probability of it than one that has not.

    Of two classes it is that of the last one; of more, or of label sets, each label's against the
    rest, and their mean (macro, one-vs-rest). A label that all examples have, or none, has no area
    and is left out of the mean; where no label has one, the score is 0.0. Keeps the probabilities.
    """

    config: NoConfig
    context: MetricContext
    scores: list[NDArray[Any]] = field(factory=list)
    references: list[NDArray[Any]] = field(factory=list)
    accepts = frozenset({"classes", "label_sets"})
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes or (examples, labels) label sets, with their probabilities.

        Raises UsageError where the task gives none.
        """
        scores = _probabilities("roc_auc", outcome)
        references = np.asarray(outcome.references)
        if self.context.produces == "classes":
            references = references[:, None] == np.arange(scores.shape[1])
        self.scores.append(scores.copy())
        self.references.append(references > 0)

    def compute(self) -> Mapping[str, Any]:
        from sklearn.metrics import roc_auc_score

        if not self.scores:
            return {"roc_auc": 0.0}
        scores, right = np.concatenate(self.scores), np.concatenate(self.references)
        binary = self.context.produces == "classes" and scores.shape[1] == 2
        columns = [1] if binary else range(scores.shape[1])
        told = [at for at in columns if right[:, at].any() and not right[:, at].all()]
        areas = [roc_auc_score(right[:, at], scores[:, at]) for at in told]
        return {"roc_auc": float(np.mean(areas)) if areas else 0.0}


@define
class CalibrationError:
    """How far a model's confidence is from its accuracy: of the examples in each of some equally
    wide bins of confidence, the difference of the two, weighted by how many there are (Guo 2017).

    The confidence is the probability of the class that was predicted.
    """

    config: CalibrationConfig
    context: MetricContext
    counts: NDArray[np.float64] = field(init=False)
    accepts = frozenset({"classes"})
    higher_is_better = False

    def __attrs_post_init__(self) -> None:
        # How many, how many right, and the sum of confidences, of each bin.
        self.counts = np.zeros((3, self.config.bins))

    def update(self, outcome: Outcome) -> None:
        """Take in (examples,) classes with their probabilities.

        Raises UsageError where the task gives none.
        """
        scores = _probabilities("expected_calibration_error", outcome)
        predictions = np.asarray(outcome.predictions)
        confidence = scores[np.arange(len(predictions)), predictions].astype(np.float64)
        bins = self.config.bins
        place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
        right = predictions == np.asarray(outcome.references)
        for row, weights in enumerate((np.ones(len(place)), right, confidence)):
            self.counts[row] += np.bincount(place, weights, minlength=bins)

    def compute(self) -> Mapping[str, Any]:
        total, right, confidence = self.counts
        apart = np.abs(right - confidence).sum()
        return {"expected_calibration_error": float(apart / max(total.sum(), 1))}


def _probabilities(name: str, outcome: Outcome) -> NDArray[Any]:
    if outcome.scores is None:
        raise UsageError(f"The metric {name} scores probabilities, and the task gives none.")
    return np.asarray(outcome.scores)
