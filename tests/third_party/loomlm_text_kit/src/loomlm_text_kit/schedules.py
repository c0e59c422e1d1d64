"""The schedule `inverse_root`."""

from math import sqrt

from loomlm_text_kit.config import InverseRootConfig


def inverse_root(config: InverseRootConfig, step: int, steps: int) -> float:
    """Vaswani 2017, equation 3, scaled so that its peak, at the last step of the warm-up, is 1.

    It does not depend on how many steps there are: a run may be made longer.
    """
    return min(step / config.warmup, sqrt(config.warmup / step))
