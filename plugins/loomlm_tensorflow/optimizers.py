"""The built-in optimizers in TensorFlow, on whole tensors and on gathered rows alike.

An optimizer is built from its config. `slots(parameter)` names a parameter's state; parameters
with the same slots, decay and rate come together to `update`, which gives what one step makes of
values and slots. Gradients come clipped; whether anything is kept is the engine's affair.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from loomlm.plugin import Parameter
from loomlm_tensorflow.framework import tf
from loomlm_tensorflow.updates import GroupContext

Tensor = Any
Slots = dict[str, list[Tensor]]


@frozen
class AdamW:
    """AdamW, as the reference of the `adamw` component says."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("mean", "square")

    def update(
        self, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: GroupContext
    ) -> tuple[list[Tensor], Slots]:
        """The new values and slots."""
        config, rate = self.config, context.learning_rate
        # Powers in float64: a float32 has no room for 1 - 0.999999.
        mean_share, square_share = (
            1 - tf.pow(tf.constant(beta, tf.float64), context.step)
            for beta in (config.beta1, config.beta2)
        )
        size = tf.cast(tf.cast(rate, tf.float64) / mean_share, tf.float32)
        root_share = tf.cast(tf.sqrt(square_share), tf.float32)
        shrink = 1 - rate * config.weight_decay if context.decay else None
        new: list[Tensor] = []
        means: list[Tensor] = []
        squares: list[Tensor] = []
        for value, gradient, old_mean, old_square in zip(
            values, gradients, slots["mean"], slots["square"], strict=True
        ):
            mean = old_mean + (1 - config.beta1) * (gradient - old_mean)
            square = config.beta2 * old_square + (1 - config.beta2) * tf.square(gradient)
            root = tf.sqrt(square) / root_share + config.epsilon
            kept = value if shrink is None else value * shrink
            new.append(kept - size * mean / root)
            means.append(mean)
            squares.append(square)
        return new, {"mean": means, "square": squares}


@frozen
class SGD:
    """SGD, as the reference of the `sgd` component says."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("momentum",) if self.config.momentum else ()

    def update(
        self, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: GroupContext
    ) -> tuple[list[Tensor], Slots]:
        """The new values and slots."""
        if context.decay and self.config.weight_decay:
            gradients = [
                gradient + self.config.weight_decay * value
                for gradient, value in zip(gradients, values, strict=True)
            ]
        if self.config.momentum:
            gradients = [
                self.config.momentum * momentum + gradient
                for momentum, gradient in zip(slots["momentum"], gradients, strict=True)
            ]
        new = [
            value - context.learning_rate * gradient
            for value, gradient in zip(values, gradients, strict=True)
        ]
        return new, {"momentum": gradients} if self.config.momentum else {}


@frozen
class Muon:
    """Muon for hidden matrices and AdamW for the rest, as the reference of `muon` says.

    A layer may keep a matrix transposed: what Muon makes of it is transposed likewise.
    """

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        if parameter.role == "matrix" and len(parameter.shape) == 2 and not parameter.sparse:
            return ("momentum",)
        return ("mean", "square")

    def update(
        self, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: GroupContext
    ) -> tuple[list[Tensor], Slots]:
        """The new values and slots."""
        if "momentum" not in slots:
            return AdamW(self.config).update(values, gradients, slots, context)
        config, rate = self.config, context.learning_rate
        momenta = [
            config.momentum * momentum + gradient
            for momentum, gradient in zip(slots["momentum"], gradients, strict=True)
        ]
        directions = [
            gradient + config.momentum * momentum
            for gradient, momentum in zip(gradients, momenta, strict=True)
        ]
        half = context.precision in ("bf16", "fp16")
        shrink = 1 - rate * (config.weight_decay if context.decay else 0.0)
        new = [
            value * shrink - turned * (rate * 0.2 * max(value.shape) ** 0.5)
            for value, turned in zip(values, _turned(directions, half), strict=True)
        ]
        return new, {"momentum": momenta}


def _turned(directions: list[Tensor], half: bool) -> list[Tensor]:
    """Each matrix orthogonalized: those of one shape together, which is faster for small ones."""
    found: list[Tensor] = [None] * len(directions)
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, direction in enumerate(directions):
        alike.setdefault(tuple(direction.shape), []).append(index)
    for indices in alike.values():
        stacked = tf.stack([directions[index] for index in indices])
        turned = orthogonal(tf.cast(stacked, tf.bfloat16) if half else stacked)
        for index, matrix in zip(indices, tf.unstack(tf.cast(turned, tf.float32)), strict=True):
            found[index] = matrix
    return found


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly U V^T for each U S V^T of (matrices, rows, columns): 5 Newton-Schulz steps.

    Singular values end between 0.7 and 1.2, but for very small ones: the coefficients are Jordan's
    (2024), which reach that soon and come no nearer to 1.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return tf.linalg.matrix_transpose(orthogonal(tf.linalg.matrix_transpose(matrices)))
    norm = tf.sqrt(tf.reduce_sum(tf.square(matrices), axis=(1, 2), keepdims=True))
    matrices = matrices / (norm + tf.cast(1e-7, matrices.dtype))
    a, b, c = (tf.cast(number, matrices.dtype) for number in (3.4445, -4.7750, 2.0315))
    for _ in range(5):
        gram = tf.linalg.matmul(matrices, matrices, transpose_b=True)
        matrices = a * matrices + tf.linalg.matmul(b * gram + c * (gram @ gram), matrices)
    return matrices
