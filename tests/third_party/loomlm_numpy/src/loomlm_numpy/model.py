"""A whole model: weights, a backbone, a linear head, and the losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from attrs import frozen

from loomlm.plugin import Loss, ModelSpec
from loomlm_numpy.layers import Array, Dropout, Gradients, NumpyBackbone, no_dropout

PREFIX = "backbone."


@frozen
class NumpyModel:
    """What `model.module` is: called with a batch's arrays, it gives logits.

    weights: float32 arrays by canonical name, which are changed in place; one that is tied to
    another is the same array.
    """

    spec: ModelSpec
    backbone: NumpyBackbone
    weights: dict[str, Array]
    logits_at_once: int

    def __call__(self, arrays: Mapping[str, Array]) -> Array:
        """Logits, dropout off: (batch, outputs), or (batch, time, outputs)."""
        hidden, _ = self.backbone.forward(self.own, arrays, no_dropout)
        return self.logits(hidden)

    @property
    def own(self) -> dict[str, Array]:
        """The backbone's weights, by the names that it gave them."""
        return {
            name.removeprefix(PREFIX): array
            for name, array in self.weights.items()
            if name.startswith(PREFIX)
        }

    def logits(self, hidden: Array) -> Array:
        """(..., width) to (..., outputs)."""
        flat = hidden.reshape(-1, hidden.shape[-1]) @ self.weights["head.weight"].T
        if "head.bias" in self.weights:
            flat += self.weights["head.bias"]
        return flat.reshape(*hidden.shape[:-1], -1)

    def learn(
        self, arrays: Mapping[str, Array], total: float, dropout: Dropout
    ) -> tuple[float, Gradients]:
        """The sum of the weighted losses over `total`, and its gradients by canonical name."""
        hidden, back = self.backbone.forward(self.own, arrays, dropout)
        loss, gradients, of_hidden = self._learn_head(hidden, arrays, total)
        body = back(of_hidden.reshape(hidden.shape))
        return loss, gradients | {f"{PREFIX}{name}": found for name, found in body.items()}

    def score(self, arrays: Mapping[str, Array], keep: bool) -> tuple[float, Array | None]:
        """The sum of the weighted plain losses, and the logits where they are to be kept."""
        hidden, _ = self.backbone.forward(self.own, arrays, no_dropout)
        loss, kept = 0.0, []
        for _, states, label, weight in self._parts(hidden, arrays):
            logits = self.logits(states)
            loss += weighted_loss(logits, label, weight, self.spec.loss.plain)[0]
            kept += [logits] if keep else []
        if not keep:
            return loss, None
        return loss, np.concatenate(kept).reshape(*hidden.shape[:-1], -1)

    def _learn_head(
        self, hidden: Array, arrays: Mapping[str, Array], total: float
    ) -> tuple[float, Gradients, Array]:
        """The loss, the head's gradients, and those of the hidden states, (n, width)."""
        matrix = self.weights["head.weight"]
        of_matrix, of_bias = np.zeros_like(matrix), np.zeros(len(matrix), matrix.dtype)
        of_hidden = np.empty((hidden.size // hidden.shape[-1], hidden.shape[-1]), hidden.dtype)
        loss = 0.0
        for place, states, label, weight in self._parts(hidden, arrays):
            share = weight / np.float32(total)
            part, slope = weighted_loss(self.logits(states), label, share, self.spec.loss)
            of_logits = slope()
            loss += part
            of_matrix += of_logits.T @ states
            of_bias += of_logits.sum(axis=0)
            of_hidden[place] = of_logits @ matrix
        gradients: Gradients = {"head.weight": of_matrix}
        if "head.bias" in self.weights:
            gradients["head.bias"] = of_bias
        return loss, gradients, of_hidden

    def _parts(
        self, hidden: Array, arrays: Mapping[str, Array]
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Some places at a time, whose logits fit: states (n, width), label, weight (n,)."""
        states, weight = hidden.reshape(-1, hidden.shape[-1]), arrays["weight"].ravel()
        # A label of several classes has one axis more than what says its place.
        classes = arrays["label"].shape[arrays["weight"].ndim :]
        label = arrays["label"].reshape(len(weight), *classes)
        size = max(1, self.logits_at_once // self.spec.head.outputs)
        for start in range(0, len(states), size):
            place = slice(start, start + size)
            yield place, states[place], label[place], weight[place]


def build_model(
    spec: ModelSpec, build_backbone: Callable[[ModelSpec], NumpyBackbone], logits_at_once: int
) -> NumpyModel:
    """The model of a spec, all weights 0."""
    weights = {
        parameter.name: np.zeros(parameter.shape, np.float32)
        for parameter in spec.layout
        if parameter.tied_to is None
    }
    for parameter in spec.layout:
        if parameter.tied_to is not None:
            weights[parameter.name] = weights[parameter.tied_to]
    return NumpyModel(spec, build_backbone(spec), weights, logits_at_once)


def weighted_loss(
    logits: Array, label: Array, weight: Array, loss: Loss
) -> tuple[float, Callable[[], Array]]:
    """The sum of weight times loss, and what gives its gradient by the logits.

    logits (n, classes), label (n,) or (n, classes), weight (n,).
    """
    each, slope = LOSSES[loss.kind](logits, label, loss.label_smoothing)
    return float(each @ weight), lambda: slope() * weight[:, None]


def cross_entropy(
    logits: Array, label: Array, smoothing: float
) -> tuple[Array, Callable[[], Array]]:
    """The loss of each row, (n,), and what gives its gradient, (n, classes)."""
    rows, classes = np.arange(len(logits)), logits.shape[1]
    shifted = logits - logits.max(axis=1, keepdims=True)
    raised = np.exp(shifted)
    sums = raised.sum(axis=1, keepdims=True)
    odds = shifted - np.log(sums)
    each = -(1 - smoothing) * odds[rows, label]
    if smoothing:
        each = each - smoothing * odds.mean(axis=1)

    def slope() -> Array:
        found = raised / sums
        found -= smoothing / classes
        found[rows, label] -= 1 - smoothing
        return found

    return each, slope


def binary_cross_entropy(
    logits: Array, label: Array, smoothing: float
) -> tuple[Array, Callable[[], Array]]:
    """The same, the mean over classes; label (n, classes) of 0 and 1."""
    wanted = label * (1 - smoothing) + smoothing / 2
    small = np.exp(-np.abs(logits))  # in (0, 1], whatever the sign: nothing overflows
    each = np.maximum(logits, 0) - logits * wanted + np.log1p(small)

    def slope() -> Array:
        likely = np.where(logits >= 0, 1, small) / (1 + small)
        return (likely - wanted) / logits.shape[1]

    return each.mean(axis=1), slope


def squared_error(
    logits: Array, label: Array, smoothing: float
) -> tuple[Array, Callable[[], Array]]:
    """The same of numbers: logits (n, 1), label (n,). There is nothing to smooth."""
    apart = logits[:, 0] - label
    return apart**2, lambda: 2 * apart[:, None]


LOSSES = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
}
