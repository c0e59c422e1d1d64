"""Config classes of the built-in optimizers and schedules; no framework, no numpy."""

from typing import Any

from attrs import frozen

from loomlm.plugin import key


@frozen
class AdamWConfig:
    """AdamW; decay applies where the layout says so."""

    beta1: float = key("decay of the mean of gradients", 0.9, minimum=0, maximum=0.99999)
    beta2: float = key("decay of the mean of their squares", 0.999, minimum=0, maximum=0.999999)
    epsilon: float = key("added to the root of the mean square", 1e-8, above=0)
    weight_decay: float = key("share of a weight, times the learning rate, a step", 0.01, minimum=0)


@frozen
class MuonConfig:
    """Muon for hidden matrices; the beta and epsilon keys are of the AdamW for all else."""

    momentum: float = key(
        "decay of the sum of a matrix's gradients", 0.95, minimum=0, maximum=0.9999
    )
    beta1: float = key("decay of the mean of gradients", 0.9, minimum=0, maximum=0.99999)
    beta2: float = key("decay of the mean of their squares", 0.95, minimum=0, maximum=0.999999)
    epsilon: float = key("added to the root of the mean square", 1e-8, above=0)
    weight_decay: float = key("share of a weight, times the learning rate, a step", 0.1, minimum=0)


@frozen
class SGDConfig:
    """Stochastic gradient descent; decay applies where the layout says so."""

    momentum: float = key("decay of the sum of gradients", 0.0, minimum=0, maximum=0.9999)
    weight_decay: float = key("share of a weight added to its gradient", 0.0, minimum=0)


def _warmup() -> Any:
    return key("steps of warm-up from 0; below 1: a share of all steps", 0, minimum=0)


def _floor() -> Any:
    return key(
        "the factor that the way down would reach one step after the last",
        0.0,
        minimum=0,
        maximum=1,
    )


def _check_count(name: str, value: float) -> None:
    if value >= 1 and value != int(value):
        raise ValueError(f"{name} must be whole steps, or a share below 1, got {value}")


@frozen
class ConstantConfig:
    """A constant rate after the warm-up."""

    warmup: int | float = _warmup()

    def __attrs_post_init__(self) -> None:
        _check_count("warmup", self.warmup)


@frozen
class LinearConfig:
    """A straight line from the peak to the last step."""

    warmup: int | float = _warmup()
    floor: float = _floor()

    def __attrs_post_init__(self) -> None:
        _check_count("warmup", self.warmup)


@frozen
class CosineConfig:
    """Half a cosine from the peak to the last step."""

    warmup: int | float = _warmup()
    floor: float = _floor()

    def __attrs_post_init__(self) -> None:
        _check_count("warmup", self.warmup)


@frozen
class WarmupStableDecayConfig:
    """The full rate, with a straight line down at the end."""

    warmup: int | float = _warmup()
    decay: int | float = key("steps of the decay; below 1: a share of all steps", 0.2, above=0)
    floor: float = _floor()

    def __attrs_post_init__(self) -> None:
        _check_count("warmup", self.warmup)
        _check_count("decay", self.decay)
