"""A stage's checkpoints: complete folders named by their step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from attrs import asdict, define, field, frozen

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Engine
from loomlm.models.arrays import from_safetensors, to_safetensors
from loomlm.storage.commit import DamagedError, commit, remove, verify
from loomlm.storage.disk import WriteError, disk
from loomlm.storage.foreign import read_json
from loomlm.training.space import check_space

AVERAGE = "ema."
"""What stands before the name of a parameter whose moving average an optimizer's state has."""

BESIDE = ("scaler.", AVERAGE)
"""How names begin in an optimizer's state that are not the optimizer's own."""

RESUMED_STAYS = 2
"""Whole checkpoints after which the one that a run went on from is like any other."""


@define
class Progress:
    """What a stage must remember besides weights: all else is a function of the step.

    best: the best validation score so far, with its step; stale: evaluations since then.
    unscored: whether the evaluation that is due at the step is still to come.
    ended: why the stage is over, or "". place: where a stream goes on, None where the data is no
    stream. left_out: pairs (a, b); the weights lack the updates behind step a up to step b, since
    that of step b was not finite.
    """

    step: int = 0
    best: float | None = None
    best_step: int | None = None
    stale: int = 0
    unscored: bool = False
    ended: str = ""
    place: dict[str, Any] | None = None
    left_out: list[list[int]] = field(factory=list)


@frozen
class Snapshot:
    """What a checkpoint is written from.

    state: progress and world, as plain values. parts: arrays by name, of "model" and "optimizer".
    """

    step: int
    best_step: int | None
    state: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def of(
        cls, engine: Engine, progress: Progress, world: Mapping[str, Any], copied: bool
    ) -> Snapshot:
        """The state now. copied: whether it may outlive the step; what an engine gives is often
        its own memory. One of a stage that has ended has all, too: it may be trained on.
        """
        parts: tuple[Literal["model", "optimizer"], ...] = ("model", "optimizer")
        return cls(
            step=progress.step,
            best_step=progress.best_step,
            state={"progress": asdict(progress), "world": dict(world)},
            parts={
                part: {name: a.copy() if copied else a for name, a in engine.state(part)}
                for part in parts
            },
        )

    @property
    def bytes(self) -> int:
        """The size of its arrays."""
        return sum(array.nbytes for arrays in self.parts.values() for array in arrays.values())


@frozen
class Mean:
    """Which checkpoints are averaged at the end of a stage, besides the last.

    Those of multiples of `every` from step `first` on: the last `count` of them, or all.
    """

    every: int
    first: int
    count: int | None

    @classmethod
    def wanted(cls, trainer: TrainerConfig) -> Mean | None:
        """What a trainer's config says."""
        if not trainer.averages or not isinstance(trainer.checkpoint_every, int):
            return None
        return cls(trainer.checkpoint_every, trainer.average_from or 0, trainer.average)

    def of(self, steps: Iterable[int]) -> list[int]:
        """Those of some steps, in order."""
        found = sorted(step for step in steps if step % self.every == 0 and step >= self.first)
        return found[-(self.count or 0) :]

    def steps(self, last: int) -> list[int]:
        """The steps whose weights are averaged where a stage ends with step `last`."""
        before = self.of(range(self.every, last, self.every))
        return [*before, last][-(self.count or 0) :]


@define
class Checkpoints:
    """The checkpoints of one stage.

    keep_last: how many of the newest stay. keep_every: those of every so many steps stay too.
    Beside them stay the best one, and the one that the run went on from, until there are newer ones
    to go back to. What is damaged counts as none of them, and is never removed.
    back_to: steps of whose multiples a lost loss may go back to the last two, which stay for it.
    mean: which of them are averaged at the end.
    """

    folder: Path
    keep_last: int
    keep_every: int | None = None
    back_to: int | None = None
    mean: Mean | None = None
    _whole: set[int] = field(factory=set, init=False)
    _damaged: set[int] = field(factory=set, init=False)
    _resumed: int | None = field(default=None, init=False)

    def save(self, snapshot: Snapshot) -> tuple[Path, list[str]]:
        """Write a checkpoint, then remove those that are no longer kept.

        Gives its folder, and sentences for the user. Raises LoomlmError where it cannot be written.
        """
        target = self.path(snapshot.step)
        check_space(target, snapshot.bytes)
        notes = [*self._made_room(snapshot.step)]
        files: dict[str, Any] = {
            f"{part}.safetensors": to_safetensors(arrays.items())
            for part, arrays in snapshot.parts.items()
        }
        files["state.json"] = (json.dumps(snapshot.state, indent=1) + "\n").encode()
        commit(target, files)
        self._whole.add(snapshot.step)
        notes += self._prune(snapshot.best_step)
        return target, notes

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole, and a sentence for each that was passed over."""
        passed_over = []
        for step in sorted(self.steps(), reverse=True):
            problem = self._problem(step)
            if problem is None:
                self._resumed = step
                return self.path(step), passed_over
            passed_over.append(f"Checkpoint {step} is damaged and left alone: {problem}")
        return None, passed_over

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, whole or not."""
        if not self.folder.is_dir():
            return []
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()]

    def load_model(self, engine: Engine, step: int, average: bool = False) -> None:
        """Take the weights of a checkpoint. Raises DamagedError when it is not whole.

        average: whether it is their moving average that is wanted, where they have one.
        """
        engine.load_state("model", self.read_model(step).items())
        if average:
            kept = from_safetensors(self.path(step) / "optimizer.safetensors").items()
            own = ((name.removeprefix(AVERAGE), a) for name, a in kept if name.startswith(AVERAGE))
            engine.load_state("model", own)

    def read_model(self, step: int) -> Mapping[str, np.ndarray]:
        """The weights of a checkpoint, by name. Raises DamagedError when it is not whole."""
        path = self.path(step)
        verify(path)
        return from_safetensors(path / "model.safetensors")

    def without_best(self, progress: Progress) -> str | None:
        """Forget the best checkpoint where it is not whole: a sentence for the user then.

        What follows is compared with what follows alone: a score whose weights are gone would keep
        others from being kept, and there would be nothing to end with.
        """
        step = progress.best_step
        if step is None or step in self._whole or (problem := self._problem(step)) is None:
            return None
        progress.best, progress.best_step, progress.stale = None, None, 0
        return (
            f"The best checkpoint so far, that of step {step}, cannot be used: {problem} The best "
            f"from step {progress.step} on is kept in its place."
        )

    def path(self, step: int) -> Path:
        """The folder of a step's checkpoint."""
        return self.folder / f"{step:08d}"

    def _problem(self, step: int) -> str | None:
        """What is wrong with a checkpoint, as it is on disk now."""
        try:
            verify(self.path(step))
        except (DamagedError, OSError) as error:
            self._whole.discard(step)
            self._damaged.add(step)
            return str(error)
        self._whole.add(step)
        return None

    def _made_room(self, step: int) -> Iterator[str]:
        """Move what is damaged out of the place of a new checkpoint: it may tell what happened."""
        path = self.path(step)
        if step in self._whole or not path.exists() or (problem := self._problem(step)) is None:
            return
        number, aside = 1, path.with_name(f"{path.name}.damaged")
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}.damaged-{number}")
        try:
            disk().rename(path, aside)
        except OSError as error:
            raise WriteError(
                f"{path} is damaged and cannot be moved aside: {error.strerror}. Move it yourself."
            ) from error
        self._damaged.discard(step)
        yield f"Checkpoint {step} was damaged, and is now {aside.name}: {problem}"

    def _prune(self, best_step: int | None) -> Iterator[str]:
        """Remove what is no longer kept; a newer one is complete by now."""
        usable = sorted(set(self.steps()) - self._damaged)
        kept = {*usable[-self.keep_last :], best_step}
        if self.keep_every is not None:
            kept |= {step for step in usable if step % self.keep_every == 0}
        if self.back_to is not None:
            kept |= set([step for step in usable if step % self.back_to == 0][-2:])
        if self.mean is not None:
            kept |= set(self.mean.of(usable))
        if self._resumed is not None:
            newer = [step for step in usable if step > self._resumed]
            kept |= {self._resumed} if len(newer) < RESUMED_STAYS else set()
        for step in usable:
            if step in kept:
                continue
            # What this process wrote or has read is not read again: that costs as much as a save.
            problem = None if step in self._whole else self._problem(step)
            if problem is not None:
                yield f"Checkpoint {step} is damaged and left alone: {problem}"
                continue
            try:
                remove(self.path(step))
            except OSError as error:
                reason = f"cannot be removed: {error.strerror}."
                yield f"Checkpoint {step} is no longer needed and {reason}"
            self._whole.discard(step)


def read_state(checkpoint: Path) -> tuple[Progress, dict[str, Any]]:
    """A checkpoint's progress, and the world that it was made in."""
    path = checkpoint / "state.json"
    state = read_json(path)
    try:
        progress = Progress(**state["progress"])
        if type(progress.step) is not int or not isinstance(state["world"], dict):
            raise TypeError("a value of another type")
        return progress, state["world"]
    except (KeyError, TypeError) as error:
        raise DamagedError(f"{path} is no state of a stage: {error}.") from None


def restore(engine: Engine, checkpoint: Path) -> None:
    """Weights, and the optimizer's state.

    A loss scaler's is left out where the engine has none: its precision may be another one now.
    So is a moving average that is no longer kept.
    """
    engine.load_state("model", from_safetensors(checkpoint / "model.safetensors").items())
    optimizer = checkpoint / "optimizer.safetensors"
    if optimizer.exists():
        arrays = from_safetensors(optimizer)
        extra = {name for name in arrays if name.startswith(BESIDE)}
        missing = extra - ({name for name, _ in engine.state("optimizer")} if extra else set())
        engine.load_state("optimizer", ((n, a) for n, a in arrays.items() if n not in missing))
