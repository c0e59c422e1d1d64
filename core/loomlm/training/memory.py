"""What to set where a stage has no memory for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Batch
from loomlm.inference.memory import memory_for, size_of
from loomlm.training.stage import Stage


def memory_for_step(
    stage: Stage, step: int, batches: Sequence[Batch]
) -> AbstractContextManager[None]:
    """Around an update: where memory runs out, the batch's size and what to set are said."""
    return memory_for(
        lambda: (
            f"Step {step} of stage {stage.name!r}, on {stage.trainer.device}, had a batch of "
            f"{size_of(batches)}. {what_to_set(stage.name, stage.trainer)}"
        )
    )


def what_to_set(name: str, trainer: TrainerConfig) -> str:
    """Which keys of a stage lower what an update needs."""
    key, rows, parts = f"stages.{name}.trainer", trainer.batch_size, 2 * trainer.accumulate
    ways = []
    if not isinstance(rows, int) or rows % parts == 0:
        ways.append(f"{key}.accumulate to {parts}: the same batch, in smaller parts")
    if trainer.batch_tokens is not None:
        ways.append(f"{key}.batch_tokens to {max(1, trainer.batch_tokens // 2)}")
    elif isinstance(rows, int) and rows > trainer.accumulate:
        fewer = max(1, rows // parts) * trainer.accumulate
        ways.append(f'{key}.batch_size to {fewer}, or to "auto", which finds the largest')
    shorter = "Shorter rows and a smaller backbone take less, too."
    return f"Set {'; or '.join(ways)}. {shorter}" if ways else shorter
