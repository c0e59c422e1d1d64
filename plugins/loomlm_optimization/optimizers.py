"""The update rules in numpy: what every backend's optimizer must come to, within float error.

A parameter marked `sparse` in the layout takes part with the rows only that the global batch
touched: for those rows the rule below is carried out as it stands, with the global step in the
bias correction; the other rows, their moments and their decay, wait. The norm that clips is taken
over the gradients of all parameters, each row once, its gradient summed over the global batch.
"""

from __future__ import annotations

import numpy as np

from loomlm_optimization.config import AdamWConfig, SGDConfig


def adamw(
    config: AdamWConfig,
    value: np.ndarray,
    gradient: np.ndarray,
    slots: dict[str, np.ndarray],
    step: int,
    learning_rate: float,
    decay: bool,
) -> np.ndarray:
    """The new value; `slots` "mean" and "square" (zeros at first) are changed in place.

    Loshchilov and Hutter 2019, algorithm 2, with epsilon outside the bias-corrected root.
    """
    if decay:
        value = value * (1 - learning_rate * config.weight_decay)
    mean, square = slots["mean"], slots["square"]
    mean += (1 - config.beta1) * (gradient - mean)
    square *= config.beta2
    square += (1 - config.beta2) * gradient**2
    root = np.sqrt(square) / np.sqrt(1 - config.beta2**step) + config.epsilon
    return value - learning_rate / (1 - config.beta1**step) * mean / root


def sgd(
    config: SGDConfig,
    value: np.ndarray,
    gradient: np.ndarray,
    slots: dict[str, np.ndarray],
    step: int,
    learning_rate: float,
    decay: bool,
) -> np.ndarray:
    """The new value; `slots` "momentum" (zeros at first) is changed in place."""
    if decay:
        gradient = gradient + config.weight_decay * value
    if config.momentum:
        slots["momentum"] *= config.momentum
        slots["momentum"] += gradient
        gradient = slots["momentum"]
    return value - learning_rate * gradient
