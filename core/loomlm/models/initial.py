"""Initial weights: a pure function of (seed, parameter), the same arrays for every backend."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from loomlm.contracts import Constant, Fitted, Normal, Parameter


def initial_arrays(
    layout: tuple[Parameter, ...], seed: int, fitted: Fitted
) -> Iterator[tuple[str, np.ndarray]]:
    """Each stored parameter's name and float32 values, with what was fitted put in."""
    for parameter in layout:
        if parameter.tied_to is not None:
            continue
        values = _draw(parameter, seed)
        name = parameter.name.removeprefix("backbone.")
        if name in fitted.rows:
            rows, given = fitted.rows[name]
            values[rows] = given
        yield parameter.name, values


def _draw(parameter: Parameter, seed: int) -> np.ndarray:
    """Values from a counter-based generator (Philox, Salmon 2011) keyed by seed and name."""
    init = parameter.init
    if isinstance(init, Constant):
        return np.full(parameter.shape, init.value, np.float32)
    digest = hashlib.sha256(f"{seed}:{parameter.name}".encode()).digest()
    key = np.frombuffer(digest[:16], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    if isinstance(init, Normal):
        return generator.standard_normal(parameter.shape, np.float32) * np.float32(init.std)
    drawn = generator.random(parameter.shape, np.float32)
    return (drawn * 2 - 1) * np.float32(init.bound)
