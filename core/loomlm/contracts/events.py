"""What happens in a run, as observers are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from loomlm.contracts.training import StepScalars


@frozen(kw_only=True)
class RunStarted:
    """A run begins, or goes on.

    folder: the run's. config: what is run, as plain values. resumed: whether it goes on.
    """

    folder: str
    config: Mapping[str, Any]
    resumed: bool


@frozen(kw_only=True)
class Progress:
    """Something that takes a while began, e.g. reading data; or a fact worth a line.

    message: a sentence for the user.
    """

    message: str


@frozen(kw_only=True)
class StageStarted:
    """A stage begins to train, or goes on.

    stage: its name. step: updates that it has had; 0 where it begins. steps: those that it will
        have had. parameters: how many numbers the model has. folder: the stage's.
    """

    stage: str
    step: int
    steps: int
    parameters: int
    folder: str


@frozen(kw_only=True)
class StepsEnded:
    """Some updates ended.

    stage: its name. scalars, learning_rates: of each of these updates. steps: of the whole stage.
    examples_per_second, tokens_per_second: the pace since the stage began, or went on.
    seconds_left: what the rest takes at this pace.
    """

    stage: str
    scalars: tuple[StepScalars, ...]
    learning_rates: tuple[float, ...]
    steps: int
    examples_per_second: float
    tokens_per_second: float
    seconds_left: float


@frozen(kw_only=True)
class Evaluated:
    """A split was evaluated.

    stage: its name. step: updates that the model has had. split: its name. metrics: `loss` and what
        the metrics gave. folder: the stage's.
    generate: where the task generates: a prompt, the most new tokens and a seed give the text
        that the model, as it is now, goes on with.
    say: tells the user something, as Progress does.
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
    """A checkpoint is complete on disk.

    stage: its name. step: updates that the model has had. folder: the checkpoint's.
    """

    stage: str
    step: int
    folder: str


@frozen(kw_only=True)
class StageEnded:
    """A stage has trained.

    stage: its name. step: updates that it had. reason: "done", or why it stopped before the last.
    """

    stage: str
    step: int
    reason: str


@frozen(kw_only=True)
class RunEnded:
    """The run is over.

    folder: the run's. evaluation: {stage: {split: scores}}, empty where the run failed or was
        stopped. error: why, if it did; None otherwise.
    """

    folder: str
    evaluation: Mapping[str, Any]
    error: str | None
