"""The loop of one stage: batches by step, updates, evaluations, checkpoints, events.

Nothing here is random, and nothing depends on the clock but when a checkpoint is written: the
learning rate, the batch and dropout are functions of the step.
"""

from __future__ import annotations

import time
from typing import Any

from loomlm.contracts import CheckpointSaved, Evaluated, StepContext
from loomlm.data.streaming import StreamPlan
from loomlm.errors import UsageError
from loomlm.inference.scoring import evaluate
from loomlm.training.batching import batches
from loomlm.training.interrupts import Interrupts, StoppedError
from loomlm.training.log import Log
from loomlm.training.stage import DONE, Stage

CHECKPOINT_SECONDS = 300
"""How much training `checkpoint_every = "auto"` may lose."""


def train(stage: Stage, interrupts: Interrupts) -> None:
    """Train from `stage.progress` to the end of the stage, and leave the chosen weights.

    Raises StoppedError, after a checkpoint, when the user or the system asked to stop; LoomlmError
    when the loss is no longer a number.
    """
    log = Log(stage)
    # Of a stream nobody knows how long an epoch is.
    epoch = stage.plan.steps_per_epoch or max(1, stage.steps // 20)
    evaluate_every = _every(stage.trainer.evaluate_every, epoch)
    checkpoint_every = _every(stage.trainer.checkpoint_every, None)
    saved_at = time.monotonic()
    for step, microbatches, examples, tokens in batches(stage):
        rate = stage.schedule(step)
        context = StepContext(step=step, seed=stage.seed, learning_rate=rate)
        stage.engine.train_step(microbatches, context)
        stage.progress.step = step
        log.add(rate, examples, tokens)
        if stage.validation is not None and _due(step, evaluate_every, stage.steps):
            log.flush()
            _evaluate(stage, log)
        last = step == stage.steps or bool(stage.progress.ended)
        timed = stage.trainer.checkpoint_every == "auto"
        overdue = timed and time.monotonic() - saved_at > CHECKPOINT_SECONDS
        if not last and (overdue or interrupts.signal or _due(step, checkpoint_every, None)):
            log.flush()
            _save(stage)
            saved_at = time.monotonic()
        if interrupts.signal and not last:
            raise StoppedError(stage.name, step, interrupts.signal)
        log.flush_when_due()
        if last:
            break
    log.flush()
    _finish(stage)


def _finish(stage: Stage) -> None:
    """A checkpoint that says that the stage has ended, then the weights that were asked for.

    The checkpoint has those of the last step, so that it can be gone on from.
    """
    stage.progress.ended = stage.progress.ended or DONE
    _save(stage)
    take_best(stage)


def take_best(stage: Stage) -> None:
    """The best weights of a stage that has ended, where they were asked for."""
    progress = stage.progress
    if stage.trainer.keep_best and progress.best_step not in (None, progress.step):
        assert progress.best_step is not None
        stage.checkpoints.load_model(stage.engine, progress.best_step)


def _save(stage: Stage) -> None:
    if isinstance(stage.plan, StreamPlan):
        stage.progress.place = stage.plan.place(stage.progress.step)
    path = stage.checkpoints.save(stage.engine, stage.progress, stage.world)
    stage.hook.loomlm_checkpoint_saved(
        event=CheckpointSaved(stage=stage.name, step=stage.progress.step, folder=str(path))
    )


def _evaluate(stage: Stage, log: Log) -> None:
    """Score the validation split; note the best, and whether it is time to stop."""
    assert stage.validation is not None
    trainer, progress = stage.trainer, stage.progress
    size = trainer.evaluation_batch_size
    scores = evaluate(stage.engine, stage.recipe, stage.validation, stage.metrics(), size)
    log.write({"step": progress.step, "split": "validation", **scores})
    stage.hook.loomlm_evaluated(
        event=Evaluated(
            stage=stage.name,
            step=progress.step,
            split="validation",
            metrics=scores,
            folder=str(stage.folder),
            generate=stage.generate,
            say=stage.say,
        )
    )
    stopping = trainer.early_stopping
    watched = trainer.keep_best or (stopping.metric if stopping else None)
    if watched is None:
        return
    score = _score(scores, watched) * (1 if stage.higher_is_better(watched) else -1)
    if progress.best is None or score > progress.best:
        progress.best, progress.best_step, progress.stale = score, progress.step, 0
        if trainer.keep_best:
            _save(stage)
    else:
        progress.stale += 1
        if stopping and progress.stale >= stopping.patience:
            progress.ended = f"{watched} has not improved for {progress.stale} evaluations"


def _score(scores: dict[str, Any], name: str) -> float:
    if not isinstance(scores.get(name), int | float):
        known = ", ".join(k for k, value in scores.items() if isinstance(value, int | float))
        raise UsageError(f"The validation score {name!r} is no number to watch. Known: {known}.")
    return float(scores[name])


def _every(setting: int | str, auto: int | None) -> int | None:
    if setting == "never":
        return None
    return auto if setting == "auto" else int(setting)


def _due(step: int, every: int | None, last: int | None) -> bool:
    return every is not None and (step % every == 0 or step == last)
