"""Regression: a number for each text, or pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, sqrt
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.plugin import (
    Batch,
    BatchField,
    BatchSpec,
    Columns,
    DataError,
    Example,
    Facts,
    Head,
    Loss,
    Outcome,
    Tokenizer,
)
from loomlm_tasks.config import RegressionConfig
from loomlm_tasks.reading import check_texts, encoded, fields, read


@frozen
class Regression:
    """One linear output on one vector a text, and the squared error.

    Facts: `mean` and `spread` (the standard deviation) of the training labels. What is learnt is
    (label - mean) / spread; predictions and scores are in the unit of the data.
    """

    config: RegressionConfig

    needs = frozenset({"sequence"})
    produces = "numbers"
    default_metrics = ("mean_squared_error", "mean_absolute_error", "pearson", "spearman")
    stream = False

    @property
    def context(self) -> int:
        return self.config.max_tokens

    @property
    def reads(self) -> tuple[str, ...]:
        return ("pair",) if self.config.pair else ()

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """Mean and spread of the training labels.

        Raises DataError for a label that is no number, and where all are the same.
        """
        count, mean, squares = 0, 0.0, 0.0
        for example in examples:
            check_texts([example], self.config.pair)
            label = _number(example)
            count += 1
            apart = label - mean
            mean += apart / count  # Welford 1962
            squares += apart * (label - mean)
        spread = sqrt(squares / max(count, 1))
        if not spread > 0 or not isfinite(spread):
            shown = f"all of them are {mean:g}" if count else "there is none"
            raise DataError(
                f"Regression needs training labels that differ; {shown}. Check the label column."
            )
        return {"mean": mean, "spread": spread}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        for name in ("mean", "spread"):
            if type(facts.get(name)) not in (int, float) or not isfinite(facts[name]):
                raise ValueError(f"facts.{name} is no number")
        if not facts["spread"] > 0:
            raise ValueError("facts.spread is not above 0")

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`tokens`, ragged; `second` with pair; `label`, float32 (n,), standardised."""
        columns = encoded(examples, tokenizer, self.config.max_tokens, self.config.pair)
        if labelled:
            numbers = np.array([_number(example) for example in examples], np.float64)
            columns["label"] = ((numbers - facts["mean"]) / facts["spread"]).astype(np.float32)
        return columns

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens (batch, time), length (batch,), second with pair, label, weight (batch,)."""
        return BatchSpec(
            fields=(
                *fields(self.config.pair),
                BatchField("label", "float32", ("batch",)),
                BatchField("weight", "float32", ("batch",)),
            ),
            shapes=tuple(shapes),
        )

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A padded batch; rows without a label get the mean, and still count in `weight`."""
        count = len(rows["tokens"])
        label, weight = np.zeros((2, shape["batch"]), np.float32)
        weight[:count] = 1
        if "label" in rows:
            given = rows["label"]
            assert isinstance(given, np.ndarray)
            label[:count] = given
        arrays = read(rows, shape["batch"], shape["time"])
        return Batch({**arrays, "label": label, "weight": weight})

    def head(self, facts: Facts) -> Head:
        return Head(outputs=1, reads="sequence")

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="squared_error")

    def outcome(self, logits: np.ndarray, batch: Batch) -> Outcome:
        """Standardised numbers, (n,); rows that are padding are left out."""
        real = batch["weight"] > 0
        return Outcome(logits[real, 0], batch["label"][real])

    def in_unit(self, outcome: Outcome, facts: Facts) -> Outcome:
        """The numbers in the unit of the data, float64 (n,)."""
        both = (outcome.predictions, outcome.references)
        predictions, references = (_in_unit(values, facts) for values in both)
        return Outcome(predictions, references)

    def decode(self, logits: np.ndarray, facts: Facts) -> list[dict[str, Any]]:
        """`prediction` of each row, in the unit of the data."""
        return [{"prediction": number} for number in _in_unit(logits[:, 0], facts).tolist()]


def _in_unit(values: np.ndarray, facts: Facts) -> np.ndarray:
    return np.asarray(values, np.float64) * facts["spread"] + facts["mean"]


def _number(example: Example) -> float:
    label = example.label
    if label is None:
        raise DataError(
            f"{example.place}: the example has no label. Name the column of the number: "
            'data = { label = "..." }.'
        )
    try:
        number = float(label) if isinstance(label, str) else float("nan")
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        shown = list(label) if isinstance(label, tuple) else label
        raise DataError(
            f"{example.place}: the label {shown!r} is no number. Mend it; for names, take "
            'task = "classification".'
        )
    return number
