"""The update rules in numpy: what every backend's optimizer must come to, within float error.

A parameter marked `sparse` in the layout takes part with the rows only that the global batch
touched: for those rows the rule below is carried out as it stands, with the global step in the
bias correction; the other rows, their moments and their decay, wait. The norm that clips is taken
over the gradients of all parameters, each row once, its gradient summed over the global batch.

Every rule gives the new value, and changes its slots (zeros at first) in place. Steps count from 1;
the learning rate has the parameter's own scale in it.
"""

from __future__ import annotations

import numpy as np

from loomlm.plugin import Parameter
from loomlm_optimization.config import AdamWConfig, MuonConfig, SGDConfig


def adamw(
    config: AdamWConfig | MuonConfig,
    value: np.ndarray,
    gradient: np.ndarray,
    slots: dict[str, np.ndarray],
    step: int,
    learning_rate: float,
    parameter: Parameter,
) -> np.ndarray:
    """Loshchilov and Hutter 2019, algorithm 2, with epsilon outside the bias-corrected root.

    Slots: "mean" and "square".
    """
    if parameter.decay:
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
    parameter: Parameter,
) -> np.ndarray:
    """Gradient descent, with the heavy ball's momentum. Slot: "momentum", where there is any."""
    if parameter.decay:
        gradient = gradient + config.weight_decay * value
    if config.momentum:
        slots["momentum"] *= config.momentum
        slots["momentum"] += gradient
        gradient = slots["momentum"]
    return value - learning_rate * gradient


def muon(
    config: MuonConfig,
    value: np.ndarray,
    gradient: np.ndarray,
    slots: dict[str, np.ndarray],
    step: int,
    learning_rate: float,
    parameter: Parameter,
) -> np.ndarray:
    """Jordan 2024, with Nesterov's momentum, for matrices of the role "matrix"; AdamW for others.

    The update is scaled as by Liu 2025 (Muon is scalable for LLM training), to the size that
    AdamW's usually has, so that one learning rate serves both. A sparse matrix takes AdamW, whose
    rule knows rows. Slots: "momentum" for a matrix, else those of AdamW.
    """
    if parameter.role != "matrix" or len(parameter.shape) != 2 or parameter.sparse:
        return adamw(config, value, gradient, slots, step, learning_rate, parameter)
    slots["momentum"] *= config.momentum
    slots["momentum"] += gradient
    turned = orthogonal(gradient + config.momentum * slots["momentum"])
    if parameter.decay:
        value = value * (1 - learning_rate * config.weight_decay)
    return value - learning_rate * 0.2 * max(value.shape) ** 0.5 * turned


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """U V^T of U S V^T, nearly: singular values end between 0.7 and 1.2, but for very small ones.

    5 Newton-Schulz steps with Jordan's coefficients (2024), which reach that soon and come no
    nearer to 1. In float32 where the model computes in it, in bfloat16 where it computes in 16
    bits.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / (np.linalg.norm(matrix) + 1e-7)
    for _ in range(5):
        gram = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * gram + 2.0315 * gram @ gram) @ matrix
    return matrix
