"""The loop of one stage: batches by step, updates, evaluations, checkpoints, events.

Nothing here is random, and nothing depends on the clock but when a checkpoint is written: the
learning rate, the batch and dropout are functions of the step.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import (
    Batch,
    CheckpointSaved,
    Engine,
    Evaluated,
    Metric,
    StepContext,
    StepsEnded,
)
from loomlm.data.batches import Plan, Rows, TrainingRows
from loomlm.data.streaming import StreamPlan
from loomlm.errors import LoomlmError, UsageError
from loomlm.inference.scoring import Recipe, evaluate
from loomlm.training.checkpoints import Checkpoints, Progress
from loomlm.training.interrupts import Interrupts, StoppedError

AHEAD = 4
"""Batches that are made while the device works."""

CHECKPOINT_SECONDS = 300
"""How much training `checkpoint_every = "auto"` may lose."""

REPORT_SECONDS = 0.2
REPORT_STEPS = 64


@define
class Stage:
    """Everything that training one stage needs; `follows` is the stage before it."""

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
    steps: int
    schedule: Callable[[int], float]
    metrics: Callable[[], list[Metric]]
    higher_is_better: Callable[[str], bool]
    generate: Callable[[str, int, int], str] | None
    hook: Any
    say: Callable[[str], None]
    checkpoints: Checkpoints
    world: dict[str, Any]
    progress: Progress = field(factory=Progress)


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
    for step, microbatches, examples, tokens in _batches(stage):
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
    """End with the best weights where they were asked for, and a checkpoint that says so."""
    progress = stage.progress
    progress.ended = progress.ended or "done"
    if stage.trainer.keep_best and progress.best_step not in (None, progress.step):
        assert progress.best_step is not None
        stage.checkpoints.load_model(stage.engine, progress.best_step)
    _save(stage)


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


Made = tuple[int, list[Batch], int, int]
"""A step, its microbatches, how many examples and tokens they have."""


def _batches(stage: Stage) -> Iterator[Made]:
    """Each step that is left; made ahead in a thread."""
    first = stage.progress.step + 1
    heights = {width: height for height, width in stage.plan.shapes}
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1, "batches") as pool:
        try:
            for step in range(first, min(first + AHEAD, stage.steps + 1)):
                pending.append(pool.submit(_microbatches, stage, heights, step))
            following = first + AHEAD
            while pending:
                ready = pending.popleft().result()
                if following <= stage.steps:
                    pending.append(pool.submit(_microbatches, stage, heights, following))
                    following += 1
                yield ready
        finally:
            for future in pending:
                future.cancel()


def _microbatches(stage: Stage, heights: Mapping[int, int], step: int) -> Made:
    """heights: the rows of a batch, by its width."""
    rows, width = stage.plan.batch(step)
    size, parts = heights[width], stage.trainer.accumulate
    batch = stage.recipe.batch(stage.train, rows, {"batch": size, "time": width})
    batch = stage.recipe.extensions.batch(batch, step, stage.seed)
    tokens = stage.train.tokens(rows)
    if parts == 1:
        return step, [batch], len(rows), tokens
    height = size // parts
    cut = [
        Batch({name: a[at : at + height] for name, a in batch.arrays.items()})
        for at in range(0, size, height)
    ]
    return step, [part for part in cut if np.any(part["weight"])], len(rows), tokens


@define
class Log:
    """metrics.jsonl, and the events about updates. Times go to events alone, never to the file."""

    stage: Stage
    _rates: list[float] = field(factory=list)
    _examples: int = 0
    _tokens: int = 0
    _first: int = field(init=False)
    _started: float = field(factory=time.monotonic)
    _flushed: float = field(factory=time.monotonic)

    def __attrs_post_init__(self) -> None:
        self._first = self.stage.progress.step
        _cut_back(self._path, self._first)

    @property
    def _path(self) -> Path:
        return self.stage.folder / "metrics.jsonl"

    def add(self, rate: float, examples: int, tokens: int) -> None:
        """Count an update."""
        self._rates.append(rate)
        self._examples += examples
        self._tokens += tokens

    def flush_when_due(self) -> None:
        """Flush now and then: asking for scalars waits for the device."""
        late = time.monotonic() - self._flushed > REPORT_SECONDS
        if late or len(self._rates) >= REPORT_STEPS:
            self.flush()

    def flush(self) -> None:
        """Write the updates since the last flush, tell observers, and stop on a lost loss."""
        scalars = self.stage.engine.scalars()
        if not scalars:
            return
        rates, self._rates = self._rates, []
        self.write(
            *(
                {
                    "step": s.step,
                    "split": "train",
                    "loss": s.loss if isfinite(s.loss) else None,
                    "learning_rate": rate,
                    "gradient_norm": s.gradient_norm if isfinite(s.gradient_norm) else None,
                }
                for s, rate in zip(scalars, rates, strict=True)
                if s.step % self.stage.trainer.log_every == 0 or s.step == self.stage.steps
            )
        )
        self._flushed = time.monotonic()
        seconds = max(self._flushed - self._started, 1e-9)
        done = scalars[-1].step - self._first
        self.stage.hook.loomlm_steps_ended(
            event=StepsEnded(
                stage=self.stage.name,
                scalars=tuple(scalars),
                learning_rates=tuple(rates),
                steps=self.stage.steps,
                examples_per_second=self._examples / seconds,
                tokens_per_second=self._tokens / seconds,
                seconds_left=(self.stage.steps - scalars[-1].step) * seconds / done,
            )
        )
        lost = next((s for s in scalars if not s.finite), None)
        if lost is not None:
            raise LoomlmError(
                f"The loss or its gradient was no number at step {lost.step} of stage "
                f"{self.stage.name!r}; the weights were left as they were. Lower "
                f"stages.{self.stage.name}.trainer.learning_rate, or lower gradient_clip."
            )

    def write(self, *lines: dict[str, Any]) -> None:
        """Append lines."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def _cut_back(path: Path, step: int) -> None:
    """Leave the lines up to a step, so that a resumed run has each line once."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:
            continue  # The line that a killed process was writing.
    path.write_text("".join(kept), encoding="utf-8")


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
