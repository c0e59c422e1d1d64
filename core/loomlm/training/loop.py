"""The loop of one stage: batches by step, updates, evaluations, checkpoints, events.

Nothing here is random, and nothing depends on the clock but when a checkpoint is written: the
learning rate, the batch and dropout are functions of the step.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from typing import Any

from loomlm.contracts import Evaluated, StepContext
from loomlm.errors import LoomlmError, UsageError
from loomlm.inference.scoring import evaluate
from loomlm.storage.commit import DamagedError
from loomlm.training.averaging import averaged, take_weights
from loomlm.training.batching import Made, batches
from loomlm.training.interrupts import Interrupts, StoppedError
from loomlm.training.lines import Lines
from loomlm.training.log import METRICS, Log
from loomlm.training.lost import LostError, go_back, summary
from loomlm.training.memory import memory_for_step
from loomlm.training.saving import Saver
from loomlm.training.space import check_room
from loomlm.training.stage import DONE, LOST, Stage

CHECKPOINT_SECONDS = 300
"""How much training `checkpoint_every = "auto"` may lose."""


def train(stage: Stage, interrupts: Interrupts) -> None:
    """Train from `stage.progress` to the end of the stage, and leave the chosen weights.

    Raises StoppedError, after a checkpoint, when the user or the system asked to stop; LoomlmError
    where a loss or gradient is not finite and `non_finite` says no more than to stop.
    """
    check_room(stage)
    with Saver(stage) as saver:
        if stage.trainer.non_finite == "rollback" and not stage.checkpoints.steps():
            saver.save_now()
        while True:
            try:
                with closing(batches(stage)) as made:
                    _train(stage, interrupts, saver, made)
                break
            except LostError as lost:
                saver.settle()
                target = go_back(stage, lost)
                Lines(stage.folder / METRICS, stage.say).cut_back(target)
                Log(stage).write(
                    {"step": lost.step, "split": "train", "loss": None, "gone_back_to": target}
                )
        _finish(stage, saver)
    if (lacks := summary(stage)) is not None:
        stage.say(lacks)


def _train(stage: Stage, interrupts: Interrupts, saver: Saver, made: Iterable[Made]) -> None:
    log = Log(stage)
    # Of a stream nobody knows how long an epoch is.
    epoch = stage.plan.steps_per_epoch or max(1, stage.steps // 20)
    evaluate_every = _every(stage.trainer.evaluate_every, epoch)
    saved_at = time.monotonic()
    if stage.progress.unscored:
        best = _evaluate(stage, log, interrupts, saver)
        # What is gone back to has to know of its evaluation.
        if best or stage.trainer.non_finite == "rollback":
            saver.save()
    # A stage that this evaluation has ended, or whose last step it was, has no more batches.
    for step, microbatches, held, tokens in () if stage.progress.ended else made:
        saver.poll()
        rate = stage.schedule(step)
        context = StepContext(step=step, seed=stage.seed, learning_rate=rate)
        with memory_for_step(stage, step, microbatches):
            stage.engine.train_step(microbatches, context)
        stage.progress.step = step
        log.add(rate, held, tokens)
        best = False
        if stage.validation is not None and _due(step, evaluate_every, stage.steps):
            log.flush()
            best = _evaluate(stage, log, interrupts, saver)
        last = step == stage.steps or bool(stage.progress.ended)
        # Looked at once: a signal that comes while this is decided is acted on after a step.
        stopping = 0 if last else interrupts.signal
        seconds = time.monotonic() - saved_at
        if stopping or (not last and (best or _save_due(stage, step, seconds, saver.busy))):
            log.flush()
            log.sync()
            saver.save_now() if stopping else saver.save()
            saved_at = time.monotonic()
        if stopping:
            log.end()
            raise StoppedError(
                f"Stopped after step {step} of stage {stage.name!r}, with a checkpoint.", stopping
            )
        log.flush_when_due()
        if last:
            break
    log.flush()
    log.end()


def _finish(stage: Stage, saver: Saver) -> None:
    """A checkpoint that says that the stage has ended, then the weights that were asked for.

    The checkpoint has those of the last step, so that it can be trained on from there.
    """
    progress = stage.progress
    progress.ended = progress.ended or DONE
    best = progress.best_step if stage.trainer.keep_best else None
    if best is not None:
        saver.settle(needed=best)
    saver.save_now()
    try:
        take_weights(stage)
    except DamagedError as error:
        progress.ended = f"{progress.ended}{LOST}"
        saver.save_now()
        raise LoomlmError(
            f"{error} So the best weights of stage {stage.name!r}, those of step {best}, are lost. "
            "With --resume, it ends with those of its last step."
        ) from None


def _save_due(stage: Stage, step: int, seconds: float, busy: bool) -> bool:
    """Whether a checkpoint is due. seconds: since the last one. busy: whether it is in flight."""
    trainer = stage.trainer
    if _due(step, trainer.keep_every, None):
        return True
    if trainer.checkpoint_every == "auto":
        # Nobody counts on a step here, so that a slow disk need not be waited for.
        return seconds > CHECKPOINT_SECONDS and not busy
    return _due(step, _every(trainer.checkpoint_every, None), None)


def _evaluate(stage: Stage, log: Log, interrupts: Interrupts, saver: Saver) -> bool:
    """Score the validation split; note the best, and whether it is time to stop.

    Whether these are the best weights so far, and they are to be kept. Where it is broken off, the
    step's checkpoint says that it is still to come.
    """
    trainer, progress = stage.trainer, stage.progress
    progress.unscored = True
    try:
        scores = _scores(stage, interrupts)
    except StoppedError:
        saver.save_now()
        raise
    progress.unscored = False
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


def _scores(stage: Stage, interrupts: Interrupts) -> dict[str, Any]:
    assert stage.validation is not None
    stopped = (
        f"Stopped after step {stage.progress.step} of stage {stage.name!r}, with a checkpoint; the "
        "step's evaluation is done when the run goes on."
    )
    with averaged(stage.engine, stage.trainer):
        return evaluate(
            stage.engine,
            stage.recipe,
            stage.validation,
            stage.metrics(),
            stage.trainer.evaluation_batch_size,
            partial(interrupts.check, stopped),
            f"validation of {stage.name} after step {stage.progress.step}",
            stage.write if stage.watches_texts else None,
        )


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
