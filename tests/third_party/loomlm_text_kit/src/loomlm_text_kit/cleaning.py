"""The cleaner `repeats`."""

from __future__ import annotations

import re
from collections.abc import Callable

from loomlm_text_kit.config import RepeatsConfig


def repeats(config: RepeatsConfig) -> Callable[[str], str]:
    """What stands more than `most` times in a row stays that often: digits, too, and spaces."""
    run = re.compile(rf"(.)\1{{{config.most},}}", re.DOTALL)
    return lambda text: run.sub(lambda found: found[1] * config.most, text)
