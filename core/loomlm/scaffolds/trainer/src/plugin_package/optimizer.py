"""AdamW (Loshchilov and Hutter 2019), as Loomlm's optimizer `adamw` is stated."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from loomlm.plugin import Parameter


@frozen
class AdamW:
    """Built from the optimizer's config. Its form is the backend's own affair."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """The state of a parameter: arrays of its shape, zeros at first."""
        return ("mean", "square")

    def update(
        self,
        value: np.ndarray,
        gradient: np.ndarray,
        slots: dict[str, np.ndarray],
        step: int,
        learning_rate: float,
        decay: bool,
    ) -> np.ndarray:
        """The new value; changes the slots. step: counted from 1."""
        config = self.config
        mean, square = slots["mean"], slots["square"]
        if decay:
            value = value * (1 - learning_rate * config.weight_decay)
        mean += (1 - config.beta1) * (gradient - mean)
        square += (1 - config.beta2) * (gradient**2 - square)
        root = np.sqrt(square / (1 - config.beta2**step)) + config.epsilon
        return value - learning_rate / (1 - config.beta1**step) * mean / root
