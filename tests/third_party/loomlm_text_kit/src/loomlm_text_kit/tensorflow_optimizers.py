"""Lion in TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from attrs import frozen

from loomlm.plugin import Parameter
from loomlm_text_kit.config import LionConfig

Tensor = Any


@frozen
class Lion:
    """Called with the config; see "A backbone and its builders" in Loomlm's documentation."""

    config: LionConfig

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("momentum",)

    def update(
        self,
        values: list[Tensor],
        gradients: list[Tensor],
        slots: dict[str, list[Tensor]],
        context: Any,
    ) -> tuple[list[Tensor], dict[str, list[Tensor]]]:
        """The new values and slots; whether they are kept is the engine's affair."""
        config, rate = self.config, context.learning_rate
        shrink = 1 - rate * (config.weight_decay if context.decay else 0.0)
        new: list[Tensor] = []
        momenta: list[Tensor] = []
        for value, gradient, momentum in zip(values, gradients, slots["momentum"], strict=True):
            change = gradient - momentum
            direction = tf.sign(momentum + (1 - config.beta1) * change)
            new.append(value * shrink - rate * direction)
            momenta.append(momentum + (1 - config.beta2) * change)
        return new, {"momentum": momenta}
