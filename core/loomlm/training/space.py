"""Whether there is room on the disk for the checkpoints to come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from loomlm.errors import LoomlmError

if TYPE_CHECKING:
    from loomlm.training.stage import Stage

BESIDES = 1 << 16
"""Bytes of a checkpoint that are no arrays: its state, its manifest, headers."""


def check_space(target: Path, size: int) -> None:
    """Raise LoomlmError unless a folder with arrays of this size can be written."""
    needed, free = size + BESIDES, free_space(target)
    if free < needed:
        raise LoomlmError(
            f"{target} cannot be written: it needs {megabytes(needed)} and {megabytes(free)} are "
            "free. Free space, then go on."
        )


def check_room(stage: Stage) -> None:
    """Raise LoomlmError unless the checkpoints can be written that stand there at one time."""
    trainer, checkpoints = stage.trainer, stage.checkpoints
    size = sum(
        array.nbytes for part in ("model", "optimizer") for _, array in stage.engine.state(part)
    )
    every = trainer.checkpoint_every
    due = {"auto": trainer.keep_last, "never": 0}.get(str(every), 0)
    if isinstance(every, int):
        due = min(trainer.keep_last, stage.steps // every)
    # A new one is whole before an old one goes. Those that stay for good (`keep_every`) are no
    # reason not to begin: there is time to move them away.
    most = due + 1 + (trainer.keep_best is not None)
    missing = max(most - len(checkpoints.steps()), 1)
    needed, free = missing * (size + BESIDES), free_space(checkpoints.folder)
    if free < needed:
        raise LoomlmError(
            f"{checkpoints.folder} has no room for the checkpoints of stage {stage.name!r}: "
            f"{missing} of {megabytes(size)} are to come, and {megabytes(free)} are free. Free "
            f"space, lower stages.{stage.name}.trainer.keep_last, or choose another place with "
            "--runs."
        )


def free_space(path: Path) -> int:
    """Bytes that can be written where a path is, or will be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def megabytes(size: int) -> str:
    """A size for a sentence."""
    return f"{size / 1e6:,.1f} MB"
