"""Lion in numpy: what every backend's must come to, within float error."""

from __future__ import annotations

import numpy as np

from loomlm.plugin import Parameter
from loomlm_text_kit.config import LionConfig


def lion(
    config: LionConfig,
    value: np.ndarray,
    gradient: np.ndarray,
    slots: dict[str, np.ndarray],
    step: int,
    learning_rate: float,
    parameter: Parameter,
) -> np.ndarray:
    """Chen 2023 (Symbolic Discovery of Optimization Algorithms), program 1. Slot: "momentum"."""
    momentum = slots["momentum"]
    direction = np.sign(momentum + (1 - config.beta1) * (gradient - momentum))
    momentum += (1 - config.beta2) * (gradient - momentum)
    if parameter.decay:
        value = value * (1 - learning_rate * config.weight_decay)
    return value - learning_rate * direction
