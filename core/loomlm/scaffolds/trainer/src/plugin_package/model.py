"""The model, with its gradients: the mean of a text's embeddings, a linear layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import define, field
from loomlm.plugin import Batch, Loss, ModelSpec

TABLE, WEIGHT, BIAS = "backbone.embedding.weight", "head.weight", "head.bias"


@define
class Average:
    """Built from a ModelSpec, whose `layout` names each parameter with its shape.

    values: the parameters by name, float32. arithmetic: what sums are carried out in.
    """

    spec: ModelSpec
    arithmetic: str
    values: dict[str, np.ndarray] = field(init=False)

    def __attrs_post_init__(self) -> None:
        shapes = {entry.name: entry.shape for entry in self.spec.layout}
        self.values = {name: np.zeros(s, np.float32) for name, s in shapes.items()}

    def logits(self, batch: Batch) -> np.ndarray:
        """(batch, outputs), in the arithmetic of the config."""
        return self._logits(self._hidden(batch))

    def loss(
        self, logits: np.ndarray, batch: Batch, loss: Loss
    ) -> tuple[float, np.ndarray]:
        """The sum of the weighted losses, and its gradient (batch, outputs)."""
        weight = batch["weight"].astype(self.arithmetic)
        outputs, smoothing = logits.shape[1], loss.label_smoothing
        if loss.kind == "cross_entropy":
            target = np.eye(outputs)[batch["label"]] * (1 - smoothing)
            target = target + smoothing / outputs
            log = logits - logits.max(axis=1, keepdims=True)
            log = log - np.log(np.exp(log).sum(axis=1, keepdims=True))
            each, gradient = -(target * log).sum(axis=1), np.exp(log) - target
        elif loss.kind == "squared_error":
            apart = logits[:, 0] - batch["label"]
            each, gradient = apart**2, 2 * apart[:, None]
        else:
            target = batch["label"] * (1 - smoothing) + smoothing / 2
            rest = np.logaddexp(0, -np.abs(logits))
            each = (np.maximum(logits, 0) - logits * target + rest).mean(axis=1)
            probability = np.exp(np.minimum(logits, 0) - rest)
            gradient = (probability - target) / outputs
        return float((each * weight).sum()), gradient * weight[:, None]

    def gradients(
        self, batch: Batch
    ) -> tuple[float, Mapping[str, np.ndarray], np.ndarray]:
        """The loss as in `loss`, its gradient for each parameter, and the table's rows.

        Those are the ids that stand in a text: only they take part in an update.
        """
        hidden = self._hidden(batch)
        loss, back = self.loss(self._logits(hidden), batch, self.spec.loss)
        text, place = np.nonzero(batch["share"])
        rows = batch["tokens"][text, place]
        table = np.zeros(self.values[TABLE].shape, self.arithmetic)
        share = batch["share"][text, place, None]
        np.add.at(table, rows, (back @ self.values[WEIGHT])[text] * share)
        found = {TABLE: table, WEIGHT: back.T @ hidden, BIAS: back.sum(axis=0)}
        return loss, found, np.unique(rows)

    def _hidden(self, batch: Batch) -> np.ndarray:
        """(batch, width)."""
        share = batch["share"].astype(self.arithmetic)
        words = self.values[TABLE][batch["tokens"]]  # (batch, time, width)
        return (words * share[..., None]).sum(axis=1)

    def _logits(self, hidden: np.ndarray) -> np.ndarray:
        return hidden @ self.values[WEIGHT].T + self.values.get(BIAS, 0.0)
