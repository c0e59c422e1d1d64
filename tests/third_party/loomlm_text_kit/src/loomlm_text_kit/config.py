"""The keys of each component."""

from attrs import frozen

from loomlm.plugin import key


@frozen
class RepeatsConfig:
    """Runs of one character."""

    most: int = key("how many of a run stay", 3, minimum=1)


@frozen
class DeduplicateConfig:
    """Training texts that stood there before."""

    ignore_case: bool = key("take upper and lower case as the same", True)


@frozen
class LionConfig:
    """Lion: each weight moves by the rate, up or down. Decay applies where the layout says so."""

    beta1: float = key("share of the momentum in the direction", 0.9, minimum=0, maximum=0.99999)
    beta2: float = key("decay of the momentum", 0.99, minimum=0, maximum=0.99999)
    weight_decay: float = key("share of a weight, times the learning rate, a step", 0.1, minimum=0)


@frozen
class InverseRootConfig:
    """One over the root of the step."""

    warmup: int = key(
        "steps of warm-up from 0; at the last of them the rate is the peak", 100, minimum=1
    )
