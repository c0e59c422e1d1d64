"""Whatever happens to a stage's checkpoints, there is always one to go on from.

Saves, crashes at any operation on the disk, disks that fail, damage and resumption, in any order.
Looked at is what is on disk, before each operation that could make something appear or go.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from loomlm.errors import LoomlmError
from loomlm.models.arrays import from_safetensors
from loomlm.storage.commit import DamagedError, sweep, verify
from loomlm.training.checkpoints import Checkpoints, Progress, Snapshot, read_state

CHANGING = ("open", "mkdir", "rename", "replace", "write", "unlink", "remove", "rmdir", "fsync")
"""Functions of `os` that change what is on disk."""

SHOWING = ("rename", "replace", "rmdir")
"""Those of them that make a folder appear or go."""

MOST = 60
"""Operations of a save, about: at which one something happens is drawn from these."""

STRIDES = st.integers(1, 3)
"""Steps from one save to the next: by the clock, or after a signal, they are not the same again."""


class Crash(BaseException):
    """The process is gone: nothing that it would still do happens."""


class Engine:
    """Its state is a function of the step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def state(self, part: str) -> Iterator[tuple[str, np.ndarray]]:
        yield "values", values(self.step, part)


def values(step: int, part: str) -> np.ndarray:
    return np.full(8, step if part == "model" else -step, np.float32)


@contextmanager
def disk(act: Callable[[str, int], None]) -> Iterator[None]:
    """Call `act` with the name and the number of each operation before it is carried out."""
    count = 0
    with pytest.MonkeyPatch.context() as patch:

        def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                act(name, count)
                # To wait for a disk takes most of the time, and shows nothing to those who look.
                return None if name == "fsync" else function(*arguments, **options)

            return call

        for name in CHANGING:
            patch.setattr(os, name, watched(name, getattr(os, name)))
        yield


class Retention(RuleBasedStateMachine):
    """saved: the steps of which a save came to its end. damaged: those that were damaged since."""

    base: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.base)) / "checkpoints"
        self.saved: set[int] = set()
        self.damaged: set[int] = set()
        self.evidence: set[int] = set()
        self.progress = Progress()
        self.once = False
        self.resumed = self.since = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    @initialize(last=st.integers(1, 3), every=st.sampled_from([None, None, 2, 3]))
    def begin(self, last: int, every: int | None) -> None:
        self.keys = (last, every)
        self.checkpoints = Checkpoints(self.folder, last, every)

    @rule(best=st.booleans(), stride=STRIDES)
    def save(self, best: bool, stride: int) -> None:
        """One that goes well, after which retention is as it is said to be."""
        self._step(best, stride)
        self._saved(lambda name, count: None)
        _, every = self.keys
        present = set(self._whole())
        assert self.progress.step in present
        usable = sorted(present)
        if self.since < 2:
            assert self.resumed in present | self.damaged | {0}, (usable, self.resumed)
        assert len(usable) <= self._at_most(usable), (usable, self.keys)
        if every is not None:
            stay = {step for step in self.saved - self.damaged if step % every == 0}
            assert stay <= present, (stay, present)

    @rule(best=st.booleans(), stride=STRIDES, at=st.integers(1, MOST))
    def crash(self, best: bool, stride: int, at: int) -> None:
        """The process ends before an operation of a save, and another one goes on."""

        def act(_: str, count: int) -> None:
            if count >= at:
                raise Crash

        self._step(best, stride)
        try:
            self._saved(act)
        except Crash:
            self._resume()

    @rule(
        best=st.booleans(), stride=STRIDES, at=st.integers(1, MOST), more=st.sampled_from([1, MOST])
    )
    def fail(self, best: bool, stride: int, at: int, more: int) -> None:
        """The disk refuses an operation, or all from one on; the process goes on."""

        def act(name: str, count: int) -> None:
            if at <= count < at + more and name != "open":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        before = self.progress.best_step
        self._step(best, stride)
        try:
            self._saved(act)
        except LoomlmError as error:
            assert "No space left" in str(error)
            self.progress.best_step = before
            # Where the disk refuses to sync a rename, and then to take it back, the new one stands:
            # it is told as failed, and counts as what it is.
            if self.progress.step in self._whole():
                self.since += 1
                self.saved.add(self.progress.step)
                self.damaged.discard(self.progress.step)

    @precondition(lambda self: self.progress.step in self.saved - self.damaged)
    @rule(at=st.integers(1, MOST))
    def again(self, at: int) -> None:
        """The same step is saved once more, as at the end of a stage, and crashes or not."""

        def act(_: str, count: int) -> None:
            if count >= at:
                raise Crash

        self.progress.ended = "done"
        try:
            self._saved(act)
        except Crash:
            self._resume()
        self.progress.ended = ""

    @precondition(lambda self: len(self._whole()) > 1)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """Something happens to one of several."""
        step = data.draw(st.sampled_from(sorted(self._whole())), "step")
        how = data.draw(st.sampled_from(["flip", "cut", "lose", "add", "swap", "empty"]), "how")
        folder = self.checkpoints.path(step)
        path = data.draw(st.sampled_from(sorted(folder.iterdir())), "file")
        hurt(how, folder, path, self.folder)
        if not is_whole(folder):
            self.damaged.add(step)

    @precondition(lambda self: len(self._whole()) > 1)
    @rule(data=st.data())
    def damage_the_newest(self, data: st.DataObject) -> None:
        """Several at once, as a disk does that loses what it was written last; then it goes on."""
        whole = self._whole()
        for step in sorted(whole)[data.draw(st.integers(1, len(whole) - 1), "whole ones left") :]:
            hurt("flip", whole[step], whole[step] / "model.safetensors", self.folder)
            self.damaged.add(step)
        self._resume()

    @rule()
    def resume(self) -> None:
        """The process ends between two saves."""
        self._resume()

    @invariant()
    def there_is_one(self) -> None:
        assert not self.once or self._usable(), names(self.folder)

    def _step(self, best: bool, stride: int) -> None:
        self.progress.step += stride
        if best:
            self.progress.best_step = self.progress.step

    def _saved(self, act: Callable[[str, int], None]) -> tuple[Path, list[str]]:
        step = self.progress.step
        snapshot = Snapshot.of(Engine(step), self.progress, {}, copied=True)

        def watched(name: str, count: int) -> None:
            if name in SHOWING:
                self.there_is_one()
                self._evidence_stays()
            act(name, count)

        with disk(watched):
            done = self.checkpoints.save(snapshot)
        self.once = True
        self.since += step > self.resumed
        self.saved.add(step)
        self.damaged.discard(step)
        self._evidence_stays()
        return done

    def _resume(self) -> None:
        """What a new process does; it must find the newest one, with what was saved in it."""
        sweep(self.folder.parent)
        assert not self.folder.exists() or all(n[0] != "." for n in names(self.folder))
        self.checkpoints, self.since = Checkpoints(self.folder, *self.keys), 0
        newest, passed_over = self.checkpoints.newest()
        whole = self._whole()
        assert (newest is None) == (not whole)
        # A crash may come when a save is complete and has removed what it follows.
        self.saved |= whole.keys()
        self.damaged -= whole.keys()
        for step in set(self.checkpoints.steps()) - set(whole):
            if not whole or step > max(whole):
                assert any(f"Checkpoint {step} is damaged" in said for said in passed_over)
            self.evidence.add(self.checkpoints.path(step).stat().st_ino)
        if newest is None:
            self.progress, self.resumed = Progress(), 0
            return
        self.once = True
        self.progress, _ = read_state(newest)
        self.resumed = self.progress.step
        assert self.resumed == max(whole)
        assert self.progress.step >= max(self._expected(), default=0)
        self.checkpoints.without_best(self.progress)
        self.progress.ended = ""

    def _expected(self) -> set[int]:
        """The last one that was saved whole and not damaged since: at least that must be found."""
        return {step for step in self.saved - self.damaged if step >= max(self.saved, default=0)}

    def _whole(self) -> dict[int, Path]:
        """The checkpoints that are whole, by an eye of our own."""
        if not hasattr(self, "checkpoints"):
            return {}
        paths = {step: self.checkpoints.path(step) for step in self.checkpoints.steps()}
        return {step: path for step, path in paths.items() if is_whole(path)}

    def _usable(self) -> bool:
        """Whether a process that began now would find one; it puts back what a swap took away."""
        for name in reversed(names(self.folder)):
            path = self.folder / name
            if (name.isdigit() or ".old-" in name) and is_whole(path):
                return True
        return False

    def _at_most(self, usable: list[int]) -> int:
        """How many whole ones may be there."""
        last, every = self.keys
        for_good = [s for s in usable[:-last] if every is not None and s % every == 0]
        best, resumed = 1, 1
        return last + len(for_good) + best + resumed

    def _evidence_stays(self) -> None:
        """What an earlier process left damaged is there still, under its name or set aside."""
        numbers = {entry.inode() for entry in os.scandir(self.folder)} if self.evidence else set()
        assert self.evidence <= numbers, "damaged checkpoints were removed"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def is_whole(path: Path) -> bool:
    """By the manifest, and by what must be in it."""
    try:
        verify(path)
        step = json.loads((path / "state.json").read_bytes())["progress"]["step"]
        for part in path.glob("*.safetensors"):
            assert np.array_equal(from_safetensors(part)["values"], values(step, part.stem))
    except (DamagedError, OSError):
        return False
    return (path / "model.safetensors").exists()


def hurt(how: str, folder: Path, path: Path, parent: Path) -> None:
    content = path.read_bytes()
    if how == "flip":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    elif how == "cut":
        path.write_bytes(content[:-1])
    elif how == "lose":
        path.unlink()
    elif how == "add":
        (folder / "foreign").write_bytes(b"")
    elif how == "swap":
        others = [p / path.name for p in parent.iterdir() if p != folder]
        given = next((p for p in others if p.exists()), None)
        if given is not None:
            path.write_bytes(given.read_bytes())
    else:
        for inner in list(folder.iterdir()):
            inner.unlink()


def test_there_is_always_a_checkpoint_to_go_on_from(times, tmp_path):
    class InHere(Retention):
        base = tmp_path

    run_state_machine_as_test(
        InHere,
        settings=settings(
            max_examples=times(10_000),
            stateful_step_count=12,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
