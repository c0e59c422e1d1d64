"""The batches of a stage, step by step, made ahead of the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Batch
from loomlm.data.batches import Plan, TrainingRows
from loomlm.data.streaming import StreamRows
from loomlm.inference.scoring import Recipe
from loomlm.training.checkpoints import Progress
from loomlm.training.stage import Held

AHEAD = 4
"""Batches that are made while the device works."""

Made = tuple[int, list[Batch], Held, int]
"""A step, its microbatches, the rows that they hold, and how many tokens those have."""


class Batched(Protocol):
    """What batches are a function of, and the step behind which they are wanted."""

    trainer: TrainerConfig
    seed: int
    recipe: Recipe
    train: TrainingRows
    plan: Plan
    steps: int
    progress: Progress


def share(count: int, rank: int, size: int) -> range:
    """Which of a step's microbatches one of several processes trains on: whole ones, in turn.

    Of fewer microbatches than processes, the last processes have none.
    """
    return range(rank, count, size)


def batches(stage: Batched) -> Generator[Made]:
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


def _microbatches(stage: Batched, heights: Mapping[int, int], step: int) -> Made:
    """heights: the rows of a batch, by its width."""
    rows, width = stage.plan.batch(step)
    size, parts = heights[width], stage.trainer.accumulate
    shape = {"batch": size, "time": width}
    batch = stage.recipe.batch(stage.train, rows, shape, stage.seed, step, training=True)
    batch = stage.recipe.extensions.batch(batch, step, stage.seed)
    tokens = stage.train.tokens(rows)
    # Of a stream, only who reads it knows what stands in its window.
    held = stage.train.places(rows) if isinstance(stage.train, StreamRows) else rows
    return step, cut(batch, size // parts), held, tokens


def cut(batch: Batch, height: int) -> list[Batch]:
    """A batch in microbatches of so many rows, without those that hold nothing."""
    rows = len(batch["weight"])
    if rows == height:
        return [batch]
    parts = [
        Batch({name: a[at : at + height] for name, a in batch.arrays.items()})
        for at in range(0, rows, height)
    ]
    return [part for part in parts if np.any(part["weight"])]
