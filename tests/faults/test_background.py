"""Checkpoints that are written while training goes on hold the state of their step."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from pathlib import Path

import pytest

import loomlm
from loomlm.errors import LoomlmError
from loomlm.storage.commit import verify
from loomlm.storage.disk import Disk
from loomlm.training import checkpoints, loop
from loomlm.training.saving import Saver

from .harness import until

BEHIND = 3
"""Steps that training makes while a save is in flight."""


@pytest.fixture
def slow_disk(monkeypatch) -> list[int]:
    """A disk on which a save takes until training is some steps ahead; gives how many were so."""
    stages, delays = [], []
    commit, evaluate = checkpoints.commit, loop.check_room

    def noted(stage):
        stages.append(stage)
        evaluate(stage)

    def slow(target, files):
        if threading.current_thread() is not threading.main_thread():
            step = int(target.name)
            assert until(lambda: stages[-1].progress.step >= step + BEHIND, 120)
            delays.append(step)
        commit(target, files)

    monkeypatch.setattr(loop, "check_room", noted)
    monkeypatch.setattr(checkpoints, "commit", slow)
    return delays


def digests(folder: Path) -> dict[str, str]:
    """Of every file of every checkpoint; each is whole."""
    found = {}
    for checkpoint in sorted((folder / "finetune" / "checkpoints").iterdir()):
        verify(checkpoint)
        for path in checkpoint.iterdir():
            name = path.relative_to(folder).as_posix()
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_the_file_equals_the_state_of_its_step_while_parameters_change(
    config_file, slow_disk, monkeypatch, times
):
    count = times(200)
    path = config_file(
        steps=str(5 * count + BEHIND + 1), checkpoint_every="5", keep_every="5", batch_size="4"
    )
    behind = loomlm.run(path, runs="behind")
    assert len(slow_disk) == count
    monkeypatch.setattr(Saver, "save", Saver.save_now)
    at_once = loomlm.run(path, runs="at_once")

    assert len(slow_disk) == count
    assert len(digests(behind.folder)) > 3 * count
    assert digests(behind.folder) == digests(at_once.folder)


@pytest.mark.one_backend
def test_a_save_that_fails_is_told_and_the_next_one_is_there(
    config_file, loomlm_command, monkeypatch
):
    commit = checkpoints.commit

    def full(target, files):
        if target.name == "00000010":
            raise LoomlmError(f"{target} cannot be written: No space left on device. Free space.")
        commit(target, files)

    monkeypatch.setattr(checkpoints, "commit", full)
    done = loomlm_command("run", config_file(steps="30", checkpoint_every="10", keep_last="5"))

    assert done.code == 0
    assert "Training goes on without the checkpoint of step 10" in done.err
    assert "00000010 cannot be written: No space left on device. Free space." in done.err
    kept = sorted(path.name for path in Path("runs/small/finetune/checkpoints").iterdir())
    assert kept == ["00000020", "00000030"]


@pytest.mark.one_backend
def test_a_disk_without_room_is_said_before_training_begins(
    config_file, loomlm_command, monkeypatch
):
    monkeypatch.setattr(Disk, "free", lambda self, path: 100_000)
    done = loomlm_command("run", config_file(steps="30", checkpoint_every="10"))

    assert done.code == 1
    assert "has no room for the checkpoints of stage 'finetune': 3 of 0.1 MB" in done.err
    assert "stages.finetune.trainer.keep_last" in done.err and "--runs" in done.err
    assert not Path("runs/small/finetune/metrics.jsonl").exists()


@pytest.mark.one_backend
def test_the_end_waits_for_what_is_in_flight(config_file, slow_disk):
    path = config_file(steps="14", checkpoint_every="10")
    run = loomlm.run(path)
    assert slow_disk == [10]
    names = {name.split("/")[2] for name in digests(run.folder)}
    assert names == {"00000010", "00000014"}


SLOW = """
import threading, time
from pathlib import Path
from loomlm.training import checkpoints

commit = checkpoints.commit

def slow(target, files):
    if threading.current_thread() is not threading.main_thread():
        Path("in_flight").touch()
        while not Path("go_on").exists():
            time.sleep(0.002)
    commit(target, files)

checkpoints.commit = slow
"""


def test_a_signal_while_a_save_is_in_flight_leaves_both_and_goes_on_to_the_same(
    config_file, server, tmp_path
):
    path = config_file(steps="100", checkpoint_every="30", keep_last="3")
    job = server.start(["run", path], tmp_path, before=SLOW)
    assert until((tmp_path / "in_flight").exists, 120)
    job.send(signal.SIGTERM)
    (tmp_path / "go_on").touch()

    assert job.wait() == 128 + signal.SIGTERM
    kept = sorted((tmp_path / "runs/small/finetune/checkpoints").iterdir())
    assert kept[0].name == "00000030" and len(kept) > 1
    for checkpoint in kept:
        verify(checkpoint)
    assert server.start(["run", path, "--resume"], tmp_path).wait() == 0
    assert server.start(["run", path, "--runs", "through"], tmp_path).wait() == 0
    weights = "small/model/model.safetensors"
    assert Path("runs", weights).read_bytes() == Path("through", weights).read_bytes()


def test_a_second_signal_does_not_wait_for_what_is_in_flight(config_file, server, tmp_path):
    path = config_file(steps="100000", checkpoint_every="30")
    job = server.start(["run", path], tmp_path, before=SLOW)
    assert until((tmp_path / "in_flight").exists, 120)
    job.send(signal.SIGTERM)
    time.sleep(0.05)
    job.send(signal.SIGTERM)

    assert job.wait() in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert not (tmp_path / "runs/small/finetune/checkpoints/00000030").exists()
