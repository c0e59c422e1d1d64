"""The built-in optimizers in NumPy, in place. See `loomlm_numpy.updates.NumpyOptimizer`."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.plugin import Parameter
from loomlm_numpy.layers import Array
from loomlm_numpy.updates import ParameterContext


@frozen
class AdamW:
    """Loshchilov and Hutter 2019, algorithm 2, with epsilon outside the bias-corrected root."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("mean", "square")

    def update(
        self, value: Array, gradient: Array, slots: Mapping[str, Array], context: ParameterContext
    ) -> None:
        """Change value and slots in place."""
        config, rate, step = self.config, context.learning_rate, context.step
        mean, square = slots["mean"], slots["square"]
        mean += (1 - config.beta1) * (gradient - mean)
        square *= config.beta2
        square += (1 - config.beta2) * gradient**2
        root = np.sqrt(square)
        root /= sqrt(1 - config.beta2**step)
        root += config.epsilon
        if context.decay:
            value *= 1 - rate * config.weight_decay
        value -= rate / (1 - config.beta1**step) * mean / root


@frozen
class SGD:
    """Gradient descent, with the heavy ball's momentum."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("momentum",) if self.config.momentum else ()

    def update(
        self, value: Array, gradient: Array, slots: Mapping[str, Array], context: ParameterContext
    ) -> None:
        """Change value and slots in place."""
        if context.decay and self.config.weight_decay:
            gradient = gradient + self.config.weight_decay * value
        if self.config.momentum:
            slots["momentum"][...] = self.config.momentum * slots["momentum"] + gradient
            gradient = slots["momentum"]
        value -= context.learning_rate * gradient


@frozen
class Muon:
    """Muon (Jordan 2024) for hidden matrices, scaled as by Liu 2025; AdamW for the rest."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        if parameter.role == "matrix" and len(parameter.shape) == 2 and not parameter.sparse:
            return ("momentum",)
        return ("mean", "square")

    def update(
        self, value: Array, gradient: Array, slots: Mapping[str, Array], context: ParameterContext
    ) -> None:
        """Change value and slots in place."""
        if "momentum" not in slots:
            AdamW(self.config).update(value, gradient, slots, context)
            return
        config, rate, momentum = self.config, context.learning_rate, slots["momentum"]
        momentum *= config.momentum
        momentum += gradient
        turned = orthogonal(gradient + config.momentum * momentum)
        if context.decay:
            value *= 1 - rate * config.weight_decay
        value -= rate * 0.2 * max(value.shape) ** 0.5 * turned


def orthogonal(matrix: Array) -> Array:
    """U V^T of U S V^T, nearly: 5 Newton-Schulz steps with Jordan's coefficients."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / (np.linalg.norm(matrix) + np.float32(1e-7))
    for _ in range(5):
        gram = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * gram + 2.0315 * gram @ gram) @ matrix
    return matrix
