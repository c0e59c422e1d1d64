"""What happens in a run, as observers are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from loomlm.contracts.training import StepScalars


@frozen(kw_only=True)
class RunStarted:
    """A run begins, or goes on: its folder, and its config as plain values."""

    folder: str
    config: Mapping[str, Any]
    resumed: bool


@frozen(kw_only=True)
class Progress:
    """Something that takes a while began, e.g. reading data; or a fact worth a line."""

    message: str


@frozen(kw_only=True)
class StageStarted:
    """A stage begins to train, at `step` of `steps`."""

    stage: str
    step: int
    steps: int
    parameters: int
    folder: str


@frozen(kw_only=True)
class StepsEnded:
    """Some updates ended: their scalars, and the pace since the stage began (or resumed)."""

    stage: str
    scalars: tuple[StepScalars, ...]
    learning_rates: tuple[float, ...]
    steps: int
    examples_per_second: float
    tokens_per_second: float
    seconds_left: float


@frozen(kw_only=True)
class Evaluated:
    """A split was evaluated after `step`.

    generate: where the task generates: a prompt, the most new tokens and a seed give the text
    that the model, as it is now, goes on with. say: tells the user something, as Progress does.
    """

    stage: str
    step: int
    split: str
    metrics: Mapping[str, Any]
    folder: str
    generate: Callable[[str, int, int], str] | None
    say: Callable[[str], None]


@frozen(kw_only=True)
class CheckpointSaved:
    """A checkpoint is complete on disk."""

    stage: str
    step: int
    folder: str


@frozen(kw_only=True)
class StageEnded:
    """A stage has trained: after how many steps, and why it stopped if before the last."""

    stage: str
    step: int
    reason: str


@frozen(kw_only=True)
class RunEnded:
    """The run is over; `error` says why if it failed or was stopped."""

    folder: str
    evaluation: Mapping[str, Any]
    error: str | None
