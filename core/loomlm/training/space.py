"""Whether there is room on the disk for the checkpoints to come."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from loomlm.storage.disk import WriteError, cannot_write, disk

if TYPE_CHECKING:
    from loomlm.training.stage import Stage

BESIDES = 1 << 16
"""Bytes of a checkpoint that are no arrays: its state, its manifest, headers."""


def check_space(target: Path, size: int) -> None:
    """Raise WriteError, as a full disk does, unless a folder with arrays of this size fits."""
    needed = size + BESIDES
    if disk().free(target) < needed:
        raise cannot_write(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), needed)


def check_room(stage: Stage) -> None:
    """Raise WriteError unless the checkpoints can be written that stand there at one time."""
    trainer, checkpoints = stage.trainer, stage.checkpoints
    size = sum(
        array.nbytes for part in ("model", "optimizer") for _, array in stage.engine.state(part)
    )
    every = trainer.checkpoint_every
    due = {"auto": trainer.keep_last, "never": 0}.get(str(every), 0)
    if isinstance(every, int):
        averaged = len(checkpoints.mean.steps(stage.steps)) if checkpoints.mean else 0
        due = min(max(trainer.keep_last, averaged), stage.steps // every)
    # A new one is whole before an old one goes. Those that stay for good (`keep_every`) are no
    # reason not to begin: there is time to move them away.
    most = due + 1 + (trainer.keep_best is not None)
    missing = max(most - len(checkpoints.steps()), 1)
    needed, free = missing * (size + BESIDES), disk().free(checkpoints.folder)
    if free < needed:
        raise WriteError(
            f"{checkpoints.folder} has no room for the checkpoints of stage {stage.name!r}: "
            f"{missing} of {size / 1e6:,.1f} MB are to come, which takes {needed:,} bytes, and "
            f"{free:,} are free. Free space, lower stages.{stage.name}.trainer.keep_last, or "
            "choose another place with --runs."
        )
