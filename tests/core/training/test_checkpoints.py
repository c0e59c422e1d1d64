"""Which checkpoints stay, what becomes of damaged ones, and what is said of them."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from loomlm.errors import LoomlmError
from loomlm.storage.commit import verify
from loomlm.storage.disk import Disk, using
from loomlm.training.checkpoints import Checkpoints, Progress, Snapshot, read_state


class Engine:
    """A model of two arrays, which it changes in place."""

    def __init__(self) -> None:
        self.arrays = {"a": np.zeros(4, np.float32), "b": np.zeros((2, 2), np.float32)}

    def state(self, part):
        for name, array in self.arrays.items():
            yield (name if part == "model" else f"{name}.mean"), array

    def load_state(self, part, arrays):
        for name, array in arrays:
            self.arrays[name.removesuffix(".mean")][...] = array


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def save(kept: Checkpoints, *steps: int, best: int | None = None, ended: str = "") -> list[str]:
    """Save at steps; gives what was said."""
    said = []
    for step in steps:
        progress = Progress(step=step, best_step=best, ended=ended)
        said += kept.save(Snapshot.of(Engine(), progress, {"seed": 1}, copied=True))[1]
    return said


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_the_newest_stay(folder):
    kept = Checkpoints(folder, keep_last=2)
    assert save(kept, 10, 20, 30) == []
    assert sorted(kept.steps()) == [20, 30]
    assert sorted(path.name for path in folder.iterdir()) == ["00000020", "00000030"]


def test_the_best_stays(folder):
    kept = Checkpoints(folder, keep_last=1)
    save(kept, 10, 20, 30, best=10)
    assert sorted(kept.steps()) == [10, 30]
    save(kept, 40, best=40)
    assert sorted(kept.steps()) == [40]


def test_those_of_every_so_many_steps_stay_for_good(folder):
    kept = Checkpoints(folder, keep_last=1, keep_every=20)
    save(kept, 10, 20, 30, 40, 50)
    assert sorted(kept.steps()) == [20, 40, 50]


def test_the_one_that_was_gone_on_from_stays_until_two_are_newer(folder):
    save(Checkpoints(folder, keep_last=1), 10)
    kept = Checkpoints(folder, keep_last=1)
    assert kept.newest()[0] == folder / "00000010"
    save(kept, 20)
    assert sorted(kept.steps()) == [10, 20]
    save(kept, 30)
    assert sorted(kept.steps()) == [30]


def test_a_damaged_one_is_passed_over_and_counts_as_none(folder):
    save(Checkpoints(folder, keep_last=2), 10, 40)
    flip(folder / "00000040" / "model.safetensors")

    kept = Checkpoints(folder, keep_last=1)
    newest, said = kept.newest()
    assert newest == folder / "00000010"
    assert len(said) == 1
    assert "Checkpoint 40 is damaged and left alone" in said[0]
    assert "model.safetensors has changed" in said[0]
    save(kept, 20, 30)

    assert sorted(kept.steps()) == [30, 40]
    verify(folder / "00000030")


def test_a_damaged_one_is_moved_out_of_the_way_of_a_new_one(folder):
    save(Checkpoints(folder, keep_last=3), 10, 20)
    for turn in ("00000020.damaged", "00000020.damaged-2"):
        flip(folder / "00000020" / "state.json")
        evidence = (folder / "00000020" / "state.json").read_bytes()
        kept = Checkpoints(folder, keep_last=3)
        kept.newest()
        (said,) = save(kept, 20)
        assert f"Checkpoint 20 was damaged, and is now {turn}" in said
        assert (folder / turn / "state.json").read_bytes() == evidence
    assert sorted(kept.steps()) == [10, 20]
    verify(folder / "00000020")


def test_an_old_one_that_is_damaged_is_not_removed(folder):
    save(Checkpoints(folder, keep_last=2), 10, 20)
    flip(folder / "00000010" / "model.safetensors")
    kept = Checkpoints(folder, keep_last=1)
    kept.newest()

    said = save(kept, 30, 40)

    assert len(said) == 1 and "Checkpoint 10 is damaged and left alone" in said[0]
    assert sorted(kept.steps()) == [10, 40]


class Stuck(Disk):
    """A disk that removes nothing: it dies when it is asked to, or refuses."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def remove(self, path: Path) -> None:
        if path.name == "state.json":
            return super().remove(path)
        raise self.error


def test_a_removal_that_is_cut_off_leaves_nothing_that_looks_damaged(folder):
    kept = Checkpoints(folder, keep_last=1)
    save(kept, 10)
    with pytest.raises(KeyboardInterrupt), using(Stuck(KeyboardInterrupt())):
        save(kept, 20)
    assert Checkpoints(folder, keep_last=1).newest() == (folder / "00000020", [])


def test_the_best_is_forgotten_where_it_cannot_be_used(folder):
    kept = Checkpoints(folder, keep_last=1)
    save(kept, 10, 20, best=10)
    flip(folder / "00000010" / "model.safetensors")
    progress = Progress(step=20, best=0.5, best_step=10, stale=2)

    said = Checkpoints(folder, keep_last=1).without_best(progress)

    assert said is not None
    assert "that of step 10, cannot be used" in said and "model.safetensors has changed" in said
    assert (progress.best, progress.best_step, progress.stale) == (None, None, 0)
    assert kept.without_best(Progress(step=20, best=0.5, best_step=20)) is None


def test_a_stage_that_has_ended_can_be_trained_on(folder):
    save(Checkpoints(folder, keep_last=2), 20, ended="done")
    assert (folder / "00000020" / "optimizer.safetensors").exists()
    assert read_state(folder / "00000020")[0].ended == "done"


def test_what_is_written_is_the_state_of_the_step(folder):
    engine, kept = Engine(), Checkpoints(folder, keep_last=1)
    snapshot = Snapshot.of(engine, Progress(step=1), {}, copied=True)
    for array in engine.arrays.values():
        array.fill(1)
    kept.save(snapshot)
    kept.load_model(engine, 1)
    assert all((array == 0).all() for array in engine.arrays.values())


class Full(Disk):
    def free(self, path: Path) -> int:
        return 5000


def test_a_disk_that_is_too_full_is_not_written_to(folder):
    kept = Checkpoints(folder, keep_last=1)
    save(kept, 10)
    said = r"00000020 cannot be written: No space.* bytes are needed, 5,000 are free\. Free space"
    with pytest.raises(LoomlmError, match=said), using(Full()):
        save(kept, 20)
    assert [path.name for path in folder.iterdir()] == ["00000010"]


class Kept(Disk):
    def rename(self, path: Path, target: Path) -> None:
        if "gone" in target.name or "damaged" in target.name:
            raise OSError(errno.EACCES, "Permission denied")
        super().rename(path, target)


def test_one_that_cannot_be_removed_is_told_of(folder):
    kept = Checkpoints(folder, keep_last=1)
    save(kept, 10)
    with using(Kept()):
        (said,) = save(kept, 20)
    assert "Checkpoint 10 is no longer needed and cannot be removed" in said
    assert "Permission denied" in said
    assert save(kept, 30) == []
    assert kept.steps() == [30]


def test_a_damaged_one_that_cannot_be_moved_is_told_of(folder):
    save(Checkpoints(folder, keep_last=1), 10)
    flip(folder / "00000010" / "state.json")
    with (
        pytest.raises(LoomlmError, match=r"00000010 is damaged and cannot be moved"),
        using(Kept()),
    ):
        save(Checkpoints(folder, keep_last=1), 10)
    assert [path.name for path in folder.iterdir()] == ["00000010"]
