"""What an evaluation says of a classifier besides its scores: classes, confusions, mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.contracts import Facts, Metric, Outcome, Task, produced
from loomlm.data.examples import Split
from loomlm.data.inspection.texts import pick, whole_text

KINDS = ("classes", "label_sets")

RESAMPLES = 1000
LEVEL = 0.95
"""Of the interval: the share of resamples whose score lies within."""

CELLS = 1 << 22
"""Numbers of the confusion matrices that are held at once."""

MISTAKES = 20

EXCERPT = 300
"""Characters of a text that a mistake shows."""


@define
class Details:
    """Takes in the outcomes of a split, and says what they come to.

    labels: names in the order of their ids. kind: "classes" or "label_sets"; "" for a task of
    neither, of which there is nothing to say. metrics: fresh ones.
    """

    labels: Sequence[str]
    kind: str
    metrics: Sequence[Metric]
    _rows: list[np.ndarray] = field(factory=list)
    _outcomes: list[Outcome] = field(factory=list)

    @classmethod
    def of(cls, task: Task, facts: Facts, metrics: Sequence[Metric]) -> Details:
        """For a task's outcomes. metrics: fresh ones, which are copied."""
        kind = next((kind for kind in KINDS if kind in produced(task)), "")
        labels = tuple(facts.get("labels", ()))
        return cls(labels, kind if labels else "", deepcopy(list(metrics)))

    def see(self, rows: np.ndarray, outcome: Outcome) -> None:
        """Take in the outcome of some rows, (n,)."""
        if self.kind:
            self._rows.append(rows)
            self._outcomes.append(outcome)

    def report(self, split: Split, seed: int) -> dict[str, Any]:
        """As JSON; empty where there is nothing to say.

        notes: of the metrics. per_class, confusion_matrix, interval and mistakes: of a task that
        gives classes or label sets; the matrix of classes alone, by names, without what is 0.
        seed: of the resamples.
        """
        notes = [getattr(metric, "note", "") for metric in self.metrics]
        found: dict[str, Any] = {"notes": list(filter(None, notes))} if any(notes) else {}
        if not self.kind or not self._outcomes:
            return found
        rows, outcome = np.concatenate(self._rows), _joined(self._outcomes)
        found["per_class"] = self._per_class(outcome)
        if self.kind == "classes":
            found["confusion_matrix"] = self._confusions(outcome)
        if interval := self._interval(outcome, seed):
            found["interval"] = interval
        if len(rows) == len(split):
            found["mistakes"] = self._mistakes(rows, outcome, split)
        return found

    def _per_class(self, outcome: Outcome) -> dict[str, dict[str, float]]:
        """scikit-learn says the same, and takes a second to import."""
        wanted, given = np.asarray(outcome.references), np.asarray(outcome.predictions)
        if self.kind == "classes":
            ids = np.arange(len(self.labels))
            counts = [
                np.bincount(one.astype(np.int64), minlength=len(ids))
                for one in (wanted[wanted == given], given, wanted)
            ]
        else:
            counts = [(one > 0).sum(axis=0) for one in (wanted * given, given, wanted)]
        hits, given, wanted = counts
        bases = {"precision": given, "recall": wanted, "f1": (given + wanted) / 2}
        columns = [hits / np.where(base > 0, base, np.inf) for base in bases.values()]
        rows = zip(*(column.tolist() for column in (*columns, wanted)), strict=True)
        return {
            label: dict(zip((*bases, "support"), row, strict=True))
            for label, row in zip(self.labels, rows, strict=True)
        }

    def _confusions(self, outcome: Outcome) -> dict[str, dict[str, int]]:
        """How often each label (outer) was taken for each (inner)."""
        found: dict[str, dict[str, int]] = {label: {} for label in self.labels}
        cells = zip(*(column.tolist() for column in self._cells(outcome)), strict=True)
        for right, given, count in cells:
            found[self.labels[int(right)]][self.labels[int(given)]] = count
        return found

    def _cells(self, outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """References, predictions and counts of the cells of the matrix that are not 0."""
        size = len(self.labels)
        places = np.asarray(outcome.references, np.int64) * size + outcome.predictions
        cells, counts = np.unique(places, return_counts=True)
        return cells // size, cells % size, counts

    def _interval(self, outcome: Outcome, seed: int) -> dict[str, Any]:
        """Of the first metric's score, by the percentiles of resamples (Efron 1979)."""
        metric = next((one for one in self.metrics if self.kind in one.accepts), None)
        if metric is None:
            return {}
        whole = deepcopy(metric)
        whole.update(outcome)
        score = next(((k, v) for k, v in whole.compute().items() if _is_number(v)), None)
        if score is None:
            return {}
        random = np.random.default_rng(seed)
        of_matrices = getattr(metric, "of_matrices", None)
        if self.kind == "classes" and of_matrices is not None:
            drawn = self._of_matrices(of_matrices, outcome, random)
        else:
            drawn = _one_by_one(metric, score[0], outcome, random)
        edge = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(drawn, [edge, 100 - edge]).tolist()
        how = {"level": LEVEL, "resamples": RESAMPLES}
        return {"metric": score[0], "value": score[1], "low": low, "high": high, **how}

    def _of_matrices(
        self,
        score: Callable[[np.ndarray], np.ndarray],
        outcome: Outcome,
        random: np.random.Generator,
    ) -> np.ndarray:
        """Scores of resamples, of which only the counts in the matrix's cells matter: those of n
        rows drawn with replacement are multinomial.
        """
        references, predictions, counts = self._cells(outcome)
        size, total = len(self.labels), int(counts.sum())
        some = max(1, CELLS // size**2)
        found = []
        for start in range(0, RESAMPLES, some):
            many = min(some, RESAMPLES - start)
            matrices = np.zeros((many, size, size))
            drawn = random.multinomial(total, counts / total, many)
            matrices[:, references, predictions] = drawn
            found.append(score(matrices))
        return np.concatenate(found)

    def _mistakes(self, rows: np.ndarray, outcome: Outcome, split: Split) -> list[dict[str, Any]]:
        """Those of which the model was surest."""
        sure = self._sureness(outcome)
        wrong = np.flatnonzero(sure >= 0)
        chosen = wrong[np.lexsort((rows[wrong], -sure[wrong]))][:MISTAKES]
        examples = pick(split, rows[chosen])
        return [
            {
                "place": example.place,
                "text": _excerpt(whole_text(example)),
                "given": self._named(outcome.predictions[at]),
                "right": self._named(outcome.references[at]),
                **({} if outcome.scores is None else {"probability": float(sure[at])}),
            }
            for at, example in zip(chosen.tolist(), examples, strict=True)
        ]

    def _sureness(self, outcome: Outcome) -> np.ndarray:
        """The probability of what is wrong, of label sets of the surest wrong decision; else -1."""
        given, right = np.asarray(outcome.predictions), np.asarray(outcome.references)
        if self.kind == "classes":
            sure = np.zeros(len(given))
            if outcome.scores is not None:
                sure = outcome.scores[np.arange(len(given)), given]
            return np.where(given != right, sure, -1.0)
        scores = np.zeros(given.shape) if outcome.scores is None else outcome.scores
        each = np.where(given > 0, scores, 1 - scores)
        return np.where(given != right, each, -1.0).max(axis=1, initial=-1.0)

    def _named(self, answer: Any) -> Any:
        if self.kind == "classes":
            return self.labels[int(answer)]
        return [label for label, has in zip(self.labels, answer, strict=True) if has]


def with_details(
    scores: Mapping[str, Any], details: Details, split: Split, seed: int
) -> dict[str, Any]:
    """The scores, with what there is to say besides under `details`."""
    more = details.report(split, seed)
    return {**scores, "details": more} if more else dict(scores)


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    parts = [(one.predictions, one.references) for one in outcomes]
    predictions, references = (np.concatenate(side) for side in zip(*parts, strict=True))
    scores = [one.scores for one in outcomes if one.scores is not None]
    whole = len(scores) == len(outcomes)
    return Outcome(predictions, references, np.concatenate(scores) if whole else None)


def _one_by_one(
    metric: Metric, name: str, outcome: Outcome, random: np.random.Generator
) -> np.ndarray:
    """Scores of resamples of the examples themselves."""
    count = len(outcome.references)
    found = np.zeros(RESAMPLES)
    for number in range(RESAMPLES):
        rows = random.integers(count, size=count)
        scores = None if outcome.scores is None else outcome.scores[rows]
        again = deepcopy(metric)
        again.update(Outcome(outcome.predictions[rows], outcome.references[rows], scores))
        found[number] = again.compute()[name]
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}..."
