"""Weights that are means of others: the moving average, and the mean of the last checkpoints.

The moving average is kept by the engine, beside the optimizer's state, as `ema.NAME` for each
parameter that trains. So a checkpoint has both the weights that are trained and their average.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Engine
from loomlm.errors import UsageError
from loomlm.storage.commit import DamagedError
from loomlm.training.checkpoints import AVERAGE
from loomlm.training.stage import LOST, Stage


def moving_average(engine: Engine) -> Iterator[tuple[str, np.ndarray]]:
    """The moving average of an engine's weights, by the parameters' names."""
    for name, array in engine.state("optimizer"):
        if name.startswith(AVERAGE):
            yield name.removeprefix(AVERAGE), array


def check_average(engine: Engine, trainer: TrainerConfig, backend: str) -> None:
    """Raise UsageError for a backend that keeps no moving average where one is asked for."""
    if trainer.ema is not None and next(moving_average(engine), None) is None:
        raise UsageError(
            f"trainer.ema: the backend {backend!r} keeps no moving average of the weights. Take "
            "the key out, or choose another backend."
        )


@contextmanager
def averaged(engine: Engine, trainer: TrainerConfig) -> Iterator[None]:
    """Within, the engine has the moving average as its weights, where the trainer keeps one."""
    if trainer.ema is None:
        yield
        return
    average = {name: array.copy() for name, array in moving_average(engine)}
    trained = {name: array.copy() for name, array in engine.state("model") if name in average}
    engine.load_state("model", average.items())
    try:
        yield
    finally:
        engine.load_state("model", trained.items())


def take_weights(stage: Stage) -> None:
    """Leave the weights that a stage which has ended is to give: those that its config says.

    The best where `keep_best` asks for them, the moving average where there is one, the mean of
    the last checkpoints. Raises DamagedError where the best checkpoint is not whole.
    """
    progress, trainer = stage.progress, stage.trainer
    best = trainer.keep_best and not progress.ended.endswith(LOST)
    if best and progress.best_step not in (None, progress.step):
        assert progress.best_step is not None
        stage.checkpoints.load_model(stage.engine, progress.best_step, trainer.ema is not None)
    elif trainer.ema is not None:
        average = {name: array.copy() for name, array in moving_average(stage.engine)}
        stage.engine.load_state("model", average.items())
    elif trainer.averages:
        _take_mean(stage)
    stage.weights = _words(stage)


def _words(stage: Stage) -> str:
    """Which weights a stage gives, where they are not simply those of its last step."""
    if stage.trainer.ema is not None:
        return f"moving average, {stage.trainer.ema}"
    if stage.trainer.averages:
        return f"mean of steps {', '.join(map(str, stage.averaged))}"
    return ""


def _take_mean(stage: Stage) -> None:
    """Load the mean of the last checkpoints (Junczys-Dowmunt 2016; Vaswani 2017, section 6.1).

    Those of `checkpoint_every` and that of the last step count: no other is a function of the
    config alone.
    """
    sums: dict[str, np.ndarray] = {}
    steps = []
    wanted = stage.checkpoints.mean
    for step in wanted.steps(stage.progress.step) if wanted else ():
        try:
            arrays = stage.checkpoints.read_model(step)
        except DamagedError as error:
            stage.say(f"{stage.name}: the mean goes without the weights of step {step}: {error}")
            continue
        steps.append(step)
        for name, array in arrays.items():
            sums[name] = sums[name] + array if name in sums else array.astype(np.float64)
    if not steps:
        steps = [stage.progress.step]  # Those that the engine has.
    means = {name: (total / len(steps)).astype(np.float32) for name, total in sums.items()}
    stage.engine.load_state("model", means.items())
    stage.averaged = tuple(steps)
    stage.say(f"{stage.name} ends with the mean of the weights of {len(steps)} checkpoints")
