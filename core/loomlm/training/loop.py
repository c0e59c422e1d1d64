"""The loop of one stage: batches by step, updates, evaluations, checkpoints, events.

Nothing here is random, and nothing depends on the clock but when a checkpoint is written: the
learning rate, the batch and dropout are functions of the step.
"""

from __future__ import annotations

import time
from typing import Any

from loomlm.contracts import Evaluated, StepContext
from loomlm.errors import LoomlmError, UsageError
from loomlm.inference.scoring import evaluate
from loomlm.storage.commit import DamagedError
from loomlm.training.batching import batches
from loomlm.training.interrupts import Interrupts, StoppedError
from loomlm.training.log import Log
from loomlm.training.saving import Saver
from loomlm.training.space import check_room
from loomlm.training.stage import Stage

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
    saved_at = time.monotonic()
    check_room(stage)
    with Saver(stage) as saver:
        for step, microbatches, examples, tokens in batches(stage):
            saver.poll()
            rate = stage.schedule(step)
            context = StepContext(step=step, seed=stage.seed, learning_rate=rate)
            stage.engine.train_step(microbatches, context)
            stage.progress.step = step
            log.add(rate, examples, tokens)
            best = False
            if stage.validation is not None and _due(step, evaluate_every, stage.steps):
                log.flush()
                best = _evaluate(stage, log)
            last = step == stage.steps or bool(stage.progress.ended)
            # Looked at once: a signal that comes while this is decided is acted on after a step.
            stopping = 0 if last else interrupts.signal
            seconds = time.monotonic() - saved_at
            if stopping or (not last and (best or _save_due(stage, step, seconds, saver.busy))):
                log.flush()
                saver.save_now() if stopping else saver.save()
                saved_at = time.monotonic()
            if stopping:
                raise StoppedError(stage.name, step, stopping)
            log.flush_when_due()
            if last:
                break
        log.flush()
        _finish(stage, saver)


def _finish(stage: Stage, saver: Saver) -> None:
    """End with the best weights where they were asked for, and a checkpoint that says so."""
    progress = stage.progress
    progress.ended = progress.ended or "done"
    lost: DamagedError | None = None
    if stage.trainer.keep_best and progress.best_step not in (None, progress.step):
        assert progress.best_step is not None
        saver.settle(needed=progress.best_step)
        try:
            stage.checkpoints.load_model(stage.engine, progress.best_step)
        except DamagedError as error:
            lost = error
            progress.ended = f"{progress.ended}; the best weights were lost, these are the last"
    saver.save_now()
    if lost is not None:
        raise LoomlmError(
            f"{lost} So the best weights of stage {stage.name!r}, those of step "
            f"{progress.best_step}, are lost. With --resume, it ends with those of its last step."
        )


def _save_due(stage: Stage, step: int, seconds: float, busy: bool) -> bool:
    """Whether a checkpoint is due. seconds: since the last one. busy: whether it is in flight."""
    trainer = stage.trainer
    if _due(step, trainer.keep_every, None):
        return True
    if trainer.checkpoint_every == "auto":
        # Nobody counts on a step here, so that a slow disk need not be waited for.
        return seconds > CHECKPOINT_SECONDS and not busy
    return _due(step, _every(trainer.checkpoint_every, None), None)


def _evaluate(stage: Stage, log: Log) -> bool:
    """Score the validation split; note the best, and whether it is time to stop.

    Whether these are the best weights so far, and they are to be kept.
    """
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
        return False
    score = _score(scores, watched) * (1 if stage.higher_is_better(watched) else -1)
    if progress.best is None or score > progress.best:
        progress.best, progress.best_step, progress.stale = score, progress.step, 0
        return trainer.keep_best is not None
    progress.stale += 1
    if stopping and progress.stale >= stopping.patience:
        progress.ended = f"{watched} has not improved for {progress.stale} evaluations"
    return False


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
