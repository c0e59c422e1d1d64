"""What training one stage needs, in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Engine, Metric
from loomlm.data.batches import Plan, Rows, TrainingRows
from loomlm.errors import UsageError
from loomlm.inference.scoring import Recipe, Write
from loomlm.training.checkpoints import Checkpoints, Progress

Held = np.ndarray | list[str]
"""What a batch holds: names of rows, or, of a stream, where its examples stand."""


@define
class Stage:
    """Everything that training one stage needs; `follows` is the stage before it.

    places: where the examples of a batch stand, as their source says. write: of a task that writes,
    what it is scored by. watches_texts: whether a score of what it writes is watched in training.
    weights: which weights it ends with, where they are means, and averaged: the steps whose weights
    those are the mean of.
    """

    name: str
    follows: str | None
    folder: Path
    trainer: TrainerConfig
    seed: int
    engine: Engine
    recipe: Recipe
    train: TrainingRows
    validation: Rows | None
    plan: Plan
    places: Callable[[Held], list[str]]
    steps: int
    schedule: Callable[[int], float]
    metrics: Callable[[], list[Metric]]
    higher_is_better: Callable[[str], bool]
    generate: Callable[[str, int, int], str] | None
    write: Write | None
    watches_texts: bool
    hook: Any
    say: Callable[[str], None]
    checkpoints: Checkpoints
    world: dict[str, Any]
    progress: Progress = field(factory=Progress)
    weights: str = ""
    averaged: tuple[int, ...] = ()


DONE = "done"
"""Why a stage is over that had all its steps."""


LOST = "; the best weights were lost, these are the last"
"""What stands behind the reason for which a stage is over."""


def reopens(progress: Progress, trainer: TrainerConfig, steps: int) -> bool:
    """Whether a stage that has ended goes on, since it may have more steps than it was to have."""
    if not progress.ended or progress.step >= steps:
        return False
    stopping = trainer.early_stopping
    return progress.ended.startswith(DONE) or stopping is None or progress.stale < stopping.patience


def total_steps(trainer: TrainerConfig, plan: Plan) -> int:
    """The updates of a stage."""
    if trainer.steps is not None:
        return trainer.steps
    assert trainer.epochs is not None
    if plan.steps_per_epoch is None:
        raise UsageError(
            "trainer.epochs: nobody knows how long a stream is before it has been read. Give "
            "trainer.steps instead."
        )
    return max(1, round(trainer.epochs * plan.steps_per_epoch))
