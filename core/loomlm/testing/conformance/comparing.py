"""Teaching engines, and comparing what they hold and give then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

import numpy as np

from loomlm.contracts import Batch, Engine, StepContext
from loomlm.testing.conformance.models import SEED

State = Mapping[str, Mapping[str, np.ndarray]]
"""What an engine holds: arrays by part ("model", "optimizer") and name."""

RATE = 1e-2

ROUNDED = 1e-6
"""How far numbers may be apart that are the same but for rounding, by share of those above 1."""

TURNED = 1e-2
"""How far updates may be apart that are the same but for rounding, by share of their size: where a
gradient is next to nothing, some rules go by its sign."""


def teach(
    engine: Engine, steps: Iterable[int], *microbatches: Batch, seed: int = SEED, rate: float = RATE
) -> None:
    """Updates of these numbers, each with the same microbatches."""
    for step in steps:
        context = StepContext(step=step, seed=seed, learning_rate=rate)
        engine.train_step(microbatches, context)


def held(engine: Engine) -> State:
    """A copy of what an engine holds."""
    return {
        part: {name: np.array(array) for name, array in engine.state(part)}
        for part in ("model", "optimizer")
    }


def put(engine: Engine, state: State) -> None:
    """Load what another engine held."""
    for part in ("model", "optimizer"):
        engine.load_state(part, state[part].items())


def differing(first: State, second: State) -> str:
    """What is not the same bits, by name; empty where everything is."""
    names = [
        name
        for part in first.keys() | second.keys()
        for name in _unlike(first.get(part, {}), second.get(part, {}))
    ]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more


def _unlike(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[str]:
    both = first.keys() & second.keys()
    unlike = [n for n in both if not np.array_equal(first[n], second[n], equal_nan=True)]
    return [*unlike, *(first.keys() ^ second.keys())]


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference, by share of the largest number where that is above 1.

    Infinite where shapes differ, or something is not finite.
    """
    if first.shape != second.shape or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return inf
    if not first.size:
        return 0.0
    size = max(1.0, float(np.abs(first).max()))
    return float(np.abs(first.astype(np.float64) - second).max()) / size


def size_of(change: np.ndarray) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(np.square(change, dtype=np.float64))))
