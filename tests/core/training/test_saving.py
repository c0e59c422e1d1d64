"""Saves go on beside training, one at a time, and what becomes of them is told."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from loomlm.errors import LoomlmError
from loomlm.models.arrays import from_safetensors
from loomlm.training import checkpoints as module
from loomlm.training.checkpoints import Checkpoints, Progress
from loomlm.training.saving import Saver


class Disk:
    """Stands in front of `commit`: waits until it may write, or fails at the steps named."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.begun = threading.Event()
        self.failing: set[int] = set()
        self.error: Exception = LoomlmError("00000000 cannot be written: No space left.")
        self._commit = module.commit

    def commit(self, target, files):
        self.begun.set()
        assert self.free.wait(60)
        if int(target.name) in self.failing:
            raise self.error
        self._commit(target, files)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(module, "commit", disk.commit)
    return disk


class Training:
    """A stage of one array, which every step changes in place."""

    def __init__(self, folder: Path, keep_best: str | None) -> None:
        self.name, self.world, self.plan = "small", {"seed": 1}, None
        self.trainer = SimpleNamespace(keep_best=keep_best)
        self.checkpoints = Checkpoints(folder, keep_last=2)
        self.progress = Progress()
        self.said: list[str] = []
        self.say = self.said.append
        self.array = np.zeros(4, np.float32)
        self.engine = SimpleNamespace(state=lambda part: iter([("values", self.array)]))
        self.events: list[tuple[int, str]] = []
        self.hook = SimpleNamespace(loomlm_checkpoint_saved=self._saved)

    def _saved(self, event) -> None:
        assert Path(event.folder, "manifest.json").exists()
        self.events.append((event.step, threading.current_thread().name))

    def step(self, best: bool = False) -> None:
        self.array += 1
        self.progress.step += 1
        if best:
            self.progress.best_step = self.progress.step

    def stored(self, step: int) -> list[float]:
        path = self.checkpoints.path(step) / "model.safetensors"
        return from_safetensors(path)["values"].tolist()


@pytest.fixture
def stage(tmp_path) -> Training:
    return Training(tmp_path / "checkpoints", keep_best="f1")


def test_training_goes_on_while_a_save_is_in_flight(stage, disk):
    disk.free.clear()
    with Saver(stage) as saver:
        stage.step()
        saver.save()
        stage.step()
        saver.poll()
        assert saver.busy and stage.events == []
        disk.free.set()
    assert stage.stored(1) == [1] * 4
    assert stage.events == [(1, "MainThread")]


def test_a_save_that_is_due_waits_for_the_one_in_flight(stage, disk):
    disk.free.clear()
    with Saver(stage) as saver:
        stage.step()
        saver.save()
        stage.step()
        threading.Timer(0.05, disk.free.set).start()
        saver.save()
        assert [step for step, _ in stage.events] == [1]
    assert stage.stored(2) == [2] * 4


def test_a_save_that_fails_is_told_at_the_next_step_and_the_next_one_tries_again(stage, disk):
    disk.failing = {1}
    with Saver(stage) as saver:
        stage.step()
        saver.save()
        saver._thread.join()
        stage.step()
        saver.poll()
        assert stage.said == [
            "Training goes on without the checkpoint of step 1: 00000000 cannot be written: No "
            "space left. The next one that is due tries again."
        ]
        saver.save()
    assert stage.events == [(2, "MainThread")]
    assert stage.checkpoints.steps() == [2]
    assert len(stage.said) == 1


def test_the_best_weights_are_held_until_they_can_be_written(stage, disk):
    disk.failing = {1}
    with Saver(stage) as saver:
        stage.step(best=True)
        saver.save()
        stage.step()
        saver.settle()
        assert stage.checkpoints.steps() == []
        disk.failing = set()
        saver.save()
    assert sorted(stage.checkpoints.steps()) == [1, 2]
    assert (stage.stored(1), stage.stored(2)) == ([1] * 4, [2] * 4)


def test_weights_that_are_no_longer_the_best_are_not_held(stage, disk):
    disk.failing = {1}
    with Saver(stage) as saver:
        stage.step(best=True)
        saver.save()
        saver.settle()
        disk.failing = set()
        stage.step(best=True)
        saver.save()
    assert stage.checkpoints.steps() == [2]


def test_what_training_needs_next_must_be_there(stage, disk):
    disk.failing = {1}
    with Saver(stage) as saver:
        stage.step(best=True)
        saver.save()
        stage.step()
        with pytest.raises(LoomlmError, match="No space left"):
            saver.settle(needed=1)
        disk.failing = set()
        saver.settle(needed=1)
    assert stage.stored(1) == [1] * 4


def test_a_save_that_must_be_there_fails_loudly_and_tells_of_those_before(stage, disk):
    disk.failing = {1, 2}
    with Saver(stage) as saver:
        stage.step()
        saver.save()
        stage.step()
        with pytest.raises(LoomlmError, match="No space left"):
            saver.save_now()
        assert len(stage.said) == 1 and "step 1" in stage.said[0]
        disk.failing = set()
        saver.save_now()
        assert stage.events == [(2, "MainThread")]


def test_a_mistake_of_ours_is_not_taken_for_a_full_disk(stage, disk):
    disk.failing, disk.error = {1}, ZeroDivisionError()
    with Saver(stage) as saver:
        stage.step()
        saver.save()
        with pytest.raises(ZeroDivisionError):
            saver.settle()


def test_an_error_of_training_waits_for_the_save_in_flight(stage, disk):
    disk.free.clear()
    with pytest.raises(LoomlmError, match="lost"), Saver(stage) as saver:
        stage.step()
        saver.save()
        threading.Timer(0.05, disk.free.set).start()
        raise LoomlmError("lost")
    assert stage.stored(1) == [1] * 4
    assert stage.events == [(1, "MainThread")]


def test_who_interrupts_does_not_wait(stage, disk):
    disk.free.clear()
    with pytest.raises(KeyboardInterrupt), Saver(stage) as saver:
        stage.step()
        saver.save()
        raise KeyboardInterrupt
    assert saver.busy and stage.events == []
    disk.free.set()
    saver._thread.join()
