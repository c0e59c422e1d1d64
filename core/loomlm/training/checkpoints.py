"""A stage's checkpoints: complete folders named by their step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from attrs import asdict, define

from loomlm.contracts import Engine
from loomlm.models.arrays import from_safetensors, to_safetensors
from loomlm.storage.commit import DamagedError, commit, verify


@define
class Progress:
    """What a stage must remember besides weights: all else is a function of the step.

    best: the best validation score so far, with its step; stale: evaluations since then.
    ended: why the stage is over, or "". place: where a stream goes on, None where the data is no
    stream.
    """

    step: int = 0
    best: float | None = None
    best_step: int | None = None
    stale: int = 0
    ended: str = ""
    place: dict[str, Any] | None = None


@define
class Checkpoints:
    """The checkpoints of one stage."""

    folder: Path
    keep_last: int

    def save(self, engine: Engine, progress: Progress, world: dict[str, Any]) -> Path:
        """Write a checkpoint, then remove those that are no longer kept.

        One of a stage that has ended has the optimizer's state, too: it may be trained on.
        """
        parts = ("model", "optimizer")
        state = {"progress": asdict(progress), "world": world}
        target = self._path(progress.step)
        files: dict[str, Any] = {
            f"{part}.safetensors": to_safetensors(engine.state(part)) for part in parts
        }
        files["state.json"] = (json.dumps(state, indent=1) + "\n").encode()
        commit(target, files)
        self._prune(progress)
        return target

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole, and a sentence for each that was passed over."""
        passed_over = []
        for step in sorted(self.steps(), reverse=True):
            try:
                verify(self._path(step))
            except DamagedError as error:
                passed_over.append(f"Checkpoint {step} is damaged and left alone: {error}")
            else:
                return self._path(step), passed_over
        return None, passed_over

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, whole or not."""
        if not self.folder.is_dir():
            return []
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]

    def load_model(self, engine: Engine, step: int) -> None:
        """Take the weights of a checkpoint. Raises DamagedError when it is not whole."""
        path = self._path(step)
        verify(path)
        engine.load_state("model", from_safetensors(path / "model.safetensors").items())

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}"

    def _prune(self, progress: Progress) -> None:
        kept = set(sorted(self.steps())[-self.keep_last :]) | {progress.best_step}
        for step in self.steps():
            if step not in kept:
                shutil.rmtree(self._path(step))


def read_state(checkpoint: Path) -> tuple[Progress, dict[str, Any]]:
    """A checkpoint's progress, and the world that it was made in."""
    state = json.loads((checkpoint / "state.json").read_bytes())
    return Progress(**state["progress"]), state["world"]


def restore(engine: Engine, checkpoint: Path) -> None:
    """Weights, and the optimizer's state.

    A loss scaler's is left out where the engine has none: its precision may be another one now.
    """
    engine.load_state("model", from_safetensors(checkpoint / "model.safetensors").items())
    optimizer = checkpoint / "optimizer.safetensors"
    if optimizer.exists():
        arrays = from_safetensors(optimizer)
        scaler = {name for name in arrays if name.startswith("scaler.")}
        missing = scaler - ({name for name, _ in engine.state("optimizer")} if scaler else set())
        engine.load_state("optimizer", ((n, a) for n, a in arrays.items() if n not in missing))
