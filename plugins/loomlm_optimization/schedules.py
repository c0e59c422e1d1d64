"""Factors of the peak learning rate: pure functions of (config, step, steps).

Steps count from 1; at the last of the warm-up's steps the factor is 1, and at the step after it
still: the way down begins there. It would end, at `floor`, one step after the last, so that with
`floor = 0` no step is lost.
"""

from math import cos, pi

from loomlm_optimization.config import (
    ConstantConfig,
    CosineConfig,
    LinearConfig,
    WarmupStableDecayConfig,
)


def constant(config: ConstantConfig, step: int, steps: int) -> float:
    """1 after the warm-up."""
    return _warm(step, _count(config.warmup, steps))


def linear(config: LinearConfig, step: int, steps: int) -> float:
    """Falls to `floor` on a straight line."""
    warmup = _count(config.warmup, steps)
    if step <= warmup:
        return _warm(step, warmup)
    return _between(config.floor, 1 - _past(step, warmup, steps))


def cosine(config: CosineConfig, step: int, steps: int) -> float:
    """Falls to `floor` on half a cosine."""
    warmup = _count(config.warmup, steps)
    if step <= warmup:
        return _warm(step, warmup)
    return _between(config.floor, (1 + cos(pi * _past(step, warmup, steps))) / 2)


def warmup_stable_decay(config: WarmupStableDecayConfig, step: int, steps: int) -> float:
    """1 from the warm-up to the decay, which takes the last steps."""
    warmup, decay = _count(config.warmup, steps), _count(config.decay, steps)
    if step <= max(warmup, steps - decay):
        return _warm(step, warmup)
    return _between(config.floor, 1 - _past(step, max(warmup, steps - decay), steps))


def _count(steps_or_share: float, steps: int) -> int:
    return round(steps_or_share * steps) if steps_or_share < 1 else int(steps_or_share)


def _warm(step: int, warmup: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0


def _past(step: int, start: int, steps: int) -> float:
    """The share of the way from `start` to the end that lies behind step's beginning."""
    return min(1.0, (step - 1 - start) / max(1, steps - start))


def _between(floor: float, share: float) -> float:
    return floor + (1 - floor) * share
