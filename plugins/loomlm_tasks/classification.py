"""Classification of whole texts, single or multi label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    did_you_mean,
)
from loomlm_tasks.config import ClassificationConfig
from loomlm_tasks.reading import check_texts, encoded, fields, read


@frozen
class Classification:
    """One linear head on one vector a text.

    Facts: `labels`, sorted, and `counts`, how often each stands in the training examples.
    """

    config: ClassificationConfig

    needs = frozenset({"sequence"})
    default_metrics = ("accuracy", "f1")
    stream = False

    @property
    def context(self) -> int:
        return self.config.max_tokens

    @property
    def reads(self) -> tuple[str, ...]:
        return ("pair",) if self.config.pair else ()

    @property
    def produces(self) -> str:
        return "label_sets" if self.config.multi_label else "classes"

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """The labels of the training examples.

        Raises DataError where an example has none, or where there are fewer than two.
        """
        counts: Counter[str] = Counter()
        for example in examples:
            check_texts([example], self.config.pair)
            counts.update(self._labels(example))
        if len(counts) < 2:
            known = f"only {next(iter(counts))!r}" if counts else "none"
            raise DataError(
                f"Classification needs at least two labels; the training examples have {known}. "
                "Check the label column of the data."
            )
        labels = sorted(counts)
        facts = {"labels": labels, "counts": [counts[label] for label in labels]}
        if isinstance(self.config.class_weights, Mapping):
            for name in self.config.class_weights:
                if name not in counts:
                    raise DataError(
                        f"class_weights names the label {name!r}, which no training example has. "
                        f"{did_you_mean(name, labels)}"
                    )
        return facts

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        labels, counts = facts.get("labels"), facts.get("counts")
        if not isinstance(labels, list) or len(labels) < 2:
            raise ValueError("facts.labels are not at least two labels")
        if not isinstance(counts, list) or len(counts) != len(labels):
            raise ValueError("facts.counts are not one number for each label")
        if not all(type(count) is int and 0 < count < 1 << 53 for count in counts):
            raise ValueError("facts.counts are no counts")

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`tokens`, ragged; with pair `second`, where the second text begins, int32 (n,); `label`,
        int32 (n,), or 0/1 float32 (n, labels) with multi_label.
        """
        columns = encoded(examples, tokenizer, self.config.max_tokens, self.config.pair)
        if not labelled:
            return columns
        ids = {label: index for index, label in enumerate(facts["labels"])}
        if not self.config.multi_label:
            codes = [_id(self._labels(example)[0], ids, example) for example in examples]
            return {**columns, "label": np.array(codes, np.int32)}
        rows = np.zeros((len(examples), len(ids)), np.float32)
        for row, example in enumerate(examples):
            rows[row, [_id(label, ids, example) for label in self._labels(example)]] = 1
        return {**columns, "label": rows}

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens (batch, time); length, label, weight and, with pair, second (batch,)."""
        label = ("batch", len(facts["labels"])) if self.config.multi_label else ("batch",)
        return BatchSpec(
            fields=(
                *fields(self.config.pair),
                BatchField("label", "float32" if self.config.multi_label else "int32", label),
                BatchField("weight", "float32", ("batch",)),
            ),
            shapes=tuple(shapes),
        )

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A padded batch; rows without a label get label 0, and still count in `weight`."""
        height, count = shape["batch"], len(rows["tokens"])
        label_shape = (height, len(facts["labels"])) if self.config.multi_label else (height,)
        label = np.zeros(label_shape, np.float32 if self.config.multi_label else np.int32)
        weight = np.zeros(height, np.float32)
        weight[:count] = 1
        if "label" in rows:
            given = rows["label"]
            assert isinstance(given, np.ndarray)
            label[:count] = given
            weight[:count] = self._weights(given, facts)
        arrays = read(rows, height, shape["time"])
        return Batch({**arrays, "label": label, "weight": weight})

    def _weights(self, label: np.ndarray, facts: Facts) -> Any:
        """What each row counts; a row with several labels counts their mean."""
        if self.config.class_weights == "none":
            return 1.0
        table = _class_weights(self.config, facts)
        if not self.config.multi_label:
            return table[label]
        given = label.sum(axis=1)
        return np.where(given > 0, (label @ table) / np.maximum(given, 1), 1.0)

    def head(self, facts: Facts) -> Head:
        return Head(outputs=len(facts["labels"]), reads="sequence")

    def loss(self, facts: Facts) -> Loss:
        kind = "binary_cross_entropy" if self.config.multi_label else "cross_entropy"
        return Loss(kind=kind, label_smoothing=self.config.label_smoothing)

    def outcome(self, logits: np.ndarray, batch: Batch) -> Outcome:
        """Classes (n,), or 0/1 (n, labels), with their probabilities; the rows that are padding are
        left out.
        """
        real = batch["weight"] > 0
        # In float64, so that labels that are almost sure keep their order.
        kept = logits[real].astype(np.float64)
        if not self.config.multi_label:
            return Outcome(kept.argmax(axis=1), batch["label"][real], _softmax(kept))
        given = _sigmoid(logits[real]) >= self.config.threshold
        right = batch["label"][real].astype(np.int8)
        return Outcome(given.astype(np.int8), right, _sigmoid(kept))

    def decode(self, logits: np.ndarray, facts: Facts) -> list[dict[str, Any]]:
        """`label` (or `labels`) and `probabilities` of each row, the likeliest first."""
        names = facts["labels"]
        probabilities = _sigmoid(logits) if self.config.multi_label else _softmax(logits)
        return [self._decode_row(row, names) for row in probabilities.tolist()]

    def _decode_row(self, row: list[float], names: Sequence[str]) -> dict[str, Any]:
        ranked = sorted(zip(names, row, strict=True), key=lambda pair: -pair[1])
        if not self.config.multi_label:
            return {"label": ranked[0][0], "probabilities": dict(ranked)}
        given = [name for name, probability in ranked if probability >= self.config.threshold]
        return {"labels": given, "probabilities": dict(ranked)}

    def _labels(self, example: Example) -> tuple[str, ...]:
        label = example.label
        if label is None:
            raise DataError(
                f"{example.place}: the example has no label. Name the label column: "
                'data = { label = "..." }.'
            )
        if isinstance(label, tuple):
            if not self.config.multi_label:
                raise DataError(
                    f"{example.place}: the example has a list of labels, {list(label)!r}. "
                    "Set task = { multi_label = true }."
                )
            return tuple(dict.fromkeys(label))
        if not self.config.multi_label:
            if not label:
                raise DataError(
                    f"{example.place}: the label is empty. Fill it in, or, where a text may have "
                    "none, set task = { multi_label = true }."
                )
            return (label,)
        parts = (part.strip() for part in label.split(self.config.separator))
        return tuple(dict.fromkeys(part for part in parts if part))


def _id(label: str, ids: Mapping[str, int], example: Example) -> int:
    if label not in ids:
        raise DataError(
            f"{example.place}: the label {label!r} stands in no training example. "
            f"{did_you_mean(label, ids)} Mend the label, or add such examples to train."
        )
    return ids[label]


def _class_weights(config: ClassificationConfig, facts: Facts) -> np.ndarray:
    labels, counts = facts["labels"], np.array(facts["counts"], np.float32)
    if isinstance(config.class_weights, Mapping):
        return np.array([config.class_weights.get(label, 1.0) for label in labels], np.float32)
    return counts.sum() / (len(counts) * counts)


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # exp gives inf where the probability is 0
        return 1 / (1 + np.exp(-logits))
