"""Several processes for one run: what each is told by its environment, and what they need.

The variables are those that `torchrun` sets, and `loomlm run --processes` too (`launching.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from loomlm.config.load import Config
from loomlm.errors import UsageError
from loomlm.registry import Registry

LAUNCHER = "LOOMLM_LAUNCHER"
"""The environment variable that says which process has started this one, and ends with it."""

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@frozen
class Place:
    """A process among those of a run. rank: 0 leads. local: its number on its machine."""

    rank: int
    size: int
    local: int


def place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place of this process; None where it carries a run out alone."""
    size = _number(environment, "WORLD_SIZE") if "WORLD_SIZE" in environment else 1
    if size <= 1:
        return None
    lacking = [name for name in NAMES if not environment.get(name)]
    if lacking:
        raise UsageError(
            f"WORLD_SIZE is {size}, so this is one of several processes, and {', '.join(lacking)} "
            "is not set. Start them by `loomlm run --processes N` or by torchrun, or unset "
            "WORLD_SIZE."
        )
    rank = _number(environment, "RANK")
    if rank >= size:
        raise UsageError(f"RANK is {rank}: of {size} processes, the last is {size - 1}.")
    local = _number(environment, "LOCAL_RANK") if "LOCAL_RANK" in environment else rank
    return Place(rank, size, local)


def check(config: Config, backend: str, size: int) -> None:
    """Raise UsageError for a run that cannot be shared by so many processes."""
    if not _can(config.registry, backend):
        able = [
            entry.component.name
            for entry in config.registry.of("trainer")
            if not entry.component.missing() and _can(config.registry, entry.component.name)
        ]
        others = " and ".join(able)
        raise UsageError(
            f"The backend {backend} trains in one process."
            + (f" In several: {others} (--backend {able[0]})." if able else "")
        )
    for stage in config.settings.stages:
        if stage.trainer.accumulate < size:
            raise UsageError(
                f"stages.{stage.name}.trainer.accumulate is {stage.trainer.accumulate}: a batch is "
                f"cut into so many microbatches, and each of {size} processes takes whole ones. "
                f"Set trainer.accumulate = {size}, or a multiple. It is a key of the config, so "
                "that the model is the same on any number of processes."
            )


def _can(registry: Registry, backend: str) -> bool:
    target: Any = registry.target("trainer", backend)
    return callable(getattr(target, "team", None))


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        number = int(environment[name])
    except ValueError:
        number = -1
    if number < 0:
        raise UsageError(f"{name} in the environment is {environment[name]!r}, and no number.")
    return number
