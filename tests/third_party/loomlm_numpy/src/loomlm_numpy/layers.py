"""The pieces that models are made of, each with its derivative."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from attrs import define, frozen
from numpy.typing import NDArray

Array = NDArray[Any]


@frozen
class Rows:
    """The gradient of a table whose rows were looked up: what each place adds to its row.

    index: (n,) rows; one may be named again. values: (n, width).
    """

    index: Array
    values: Array

    def summed(self) -> Rows:
        """Each row once, in order, with the sum of what its places add."""
        order = np.argsort(self.index, kind="stable")
        named = self.index[order]
        starts = np.flatnonzero(np.diff(named, prepend=-1))
        return Rows(named[starts], np.add.reduceat(self.values[order], starts, axis=0))


Weights = Mapping[str, Array]
Gradients = dict[str, "Array | Rows"]
Cache = dict[str, Array]
"""What a model remembers of the texts that it writes: arrays by name, a row for each of them."""
Dropout = Callable[[tuple[int, ...], float], "Array | float"]
"""What to multiply numbers of a shape by, so that a share of them is left out; 1.0 for none."""


class NumpyBackbone(Protocol):
    """What the builder of a backbone gives, called with a ModelSpec. It keeps no weights.

    weights: those of the layout, by the names that the backbone gave them. arrays: the batch.
    """

    def forward(
        self, weights: Weights, arrays: Mapping[str, Array], dropout: Dropout
    ) -> tuple[Array, Callable[[Array], Gradients]]:
        """Hidden states, (batch, width) or (batch, time, width) as the head reads; and the way
        back, from their gradient to those of the weights.
        """
        ...


class WritingBackbone(NumpyBackbone, Protocol):
    """One that writes text, too."""

    def start(self, weights: Weights, arrays: Mapping[str, Array]) -> tuple[Array, Cache]:
        """The states (batch, width) behind each row's last token; and a cache."""
        ...

    def step(self, weights: Weights, cache: Cache, tokens: Array) -> Array:
        """Append a token (batch,) to each row, in the cache too; its state (batch, width)."""
        ...


@define
class KeyedDropout:
    """A `Dropout` whose draws are a function of seed, step, microbatch and layer.

    The layers are numbered in the order in which they ask.
    """

    seed: int
    step: int
    microbatch: int
    _layer: int = 0

    def __call__(self, shape: tuple[int, ...], share: float) -> Array | float:
        self._layer += 1
        if not share:
            return 1.0
        place = f"{self.seed}:{self.step}:{self.microbatch}:{self._layer}"
        digest = hashlib.blake2b(place.encode(), digest_size=16).digest()
        generator = np.random.Generator(np.random.Philox(key=np.frombuffer(digest, np.uint64)))
        kept = generator.random(shape, np.float32) >= np.float32(share)
        return kept * np.float32(1 / (1 - share))


def no_dropout(shape: tuple[int, ...], share: float) -> float:
    """The `Dropout` of a model that does not train."""
    return 1.0


def hidden_names(count: int) -> list[str]:
    """The names of so many hidden layers."""
    return [f"hidden.{index}" for index in range(count)]


def dense_layers(
    names: Sequence[str],
    activation: str,
    share: float,
    weights: Weights,
    x: Array,
    dropout: Dropout,
) -> tuple[Array, Callable[[Array], tuple[Array, Gradients]]]:
    """Dropout, then the layers of some names with an activation and dropout behind each.

    x: (n, narrow). Gives (n, wide), and the way back: from its gradient to that of x, with those
    of the layers.
    """
    activate, slope = ACTIVATIONS[activation]
    first = dropout(x.shape, share)
    x = x * first
    trail: list[tuple[str, Array, Array, Array | float]] = []
    for name in names:
        linear = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        kept = dropout(linear.shape, share)
        trail.append((name, x, linear, kept))
        x = activate(linear) * kept

    def back(gradient: Array) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for name, given, linear, kept in reversed(trail):
            gradient = gradient * kept * slope(linear)
            gradients[f"{name}.weight"] = gradient.T @ given
            gradients[f"{name}.bias"] = gradient.sum(axis=0)
            gradient = gradient @ weights[f"{name}.weight"]
        return gradient * first, gradients

    return x, back


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _relu_slope(x: Array) -> Array:
    return (x > 0).astype(x.dtype)


def _tanh_slope(x: Array) -> Array:
    return 1 - np.tanh(x) ** 2


def _gelu(x: Array) -> Array:
    """x times the share of a standard normal distribution below x (Hendrycks and Gimpel 2016)."""
    return x * _below(x)


def _gelu_slope(x: Array) -> Array:
    density = np.exp(-0.5 * x * x) * np.float32((2 * np.pi) ** -0.5)
    return _below(x) + x * density


def _below(x: Array) -> Array:
    return 0.5 * (1 + erf(x * np.float32(0.5**0.5)))


# x P(x^2) / Q(x^2), as Eigen has it for float32; from 3.84 on the function is 1 in that precision.
P = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05)
P += (-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02)
Q = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03)
Q += (-7.37332916720468e-03, -1.42647390514189e-02)


def erf(x: Array) -> Array:
    """The error function of float32 numbers, which NumPy lacks, to 5e-7."""
    x = np.clip(x, -3.8325, 3.8325)
    square = x * x
    above, below = np.full_like(x, P[0]), np.full_like(x, Q[0])
    for number in P[1:]:
        above = above * square + np.float32(number)
    for number in Q[1:]:
        below = below * square + np.float32(number)
    return x * above / below


ACTIVATIONS: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (_relu, _relu_slope),
    "gelu": (_gelu, _gelu_slope),
    "tanh": (np.tanh, _tanh_slope),
}
"""Each with its derivative."""
