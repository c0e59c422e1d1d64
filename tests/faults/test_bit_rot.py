"""What a disk did to a file is found, and the file named, before anything of it is used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from attrs import frozen

from loomlm.errors import LoomlmError
from loomlm.models.folder import read_model
from loomlm.registry import Registry
from loomlm.storage import seals
from loomlm.storage.cache import cached
from loomlm.storage.commit import Staging
from loomlm.storage.manifest import MANIFEST, DamagedError, verify

from .disks import tree
from .stored import checkpoints, save, save_small_model

pytestmark = pytest.mark.one_backend


@frozen
class Kept:
    """A folder that was committed, and what looks at it: a sentence that names a damaged file.

    other: one of equal size with other contents.
    """

    folder: Path
    other: Path
    problem: Callable[[], str | None]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Kept:
    """The newest of three. What is damaged stays, and the one before is used."""
    for step in (1, 2, 3):
        save(tmp_path, step)
    there = checkpoints(tmp_path).folder

    def problem() -> str | None:
        before = tree(there)
        found, passed_over = checkpoints(tmp_path).newest()
        assert tree(there) == before
        assert found is not None and found.name == ("00000002" if passed_over else "00000003")
        assert len(passed_over) <= 1
        return passed_over[0] if passed_over else None

    return Kept(there / "00000003", there / "00000002", problem)


@pytest.fixture
def entry() -> Kept:
    """Prepared data; what is damaged is made again."""

    def filled(number: int) -> Callable[[Staging], None]:
        def make(stage: Staging) -> None:
            stage.write("tokens.bin", bytes(range(256)) + bytes([number]))
            stage.write("columns.json", b'{"rows": %d}' % number)

        return make

    folders = [cached("tokens", f"key{number}", filled(number)) for number in (1, 2)]

    def problem() -> str | None:
        try:
            verify(folders[0])
        except DamagedError as error:
            whole = tree(folders[1])
            assert cached("tokens", "key1", filled(1)) == folders[0]
            verify(folders[0])
            assert tree(folders[1]) == whole
            return str(error)
        return None

    return Kept(*folders, problem)


@pytest.fixture
def model(tmp_path: Path) -> Kept:
    """A model's folder."""
    registry = Registry.load()
    folders = [tmp_path / name / "model" for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        save_small_model(folder, registry, seed)

    def problem() -> str | None:
        try:
            read_model(folders[0], registry)
        except LoomlmError as error:
            return str(error)
        return None

    return Kept(*folders, problem)


@pytest.fixture(params=["checkpoint", "entry", "model"])
def kept(request: pytest.FixtureRequest) -> Kept:
    return request.getfixturevalue(request.param)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    at = random.randrange(len(data) * 8)
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(data)


def test_one_flipped_bit_in_any_file_is_found_and_the_file_named(kept, times, tmp_path):
    random = Random(7)
    assert kept.problem() is None
    for _ in range(times(300)):
        whole = tmp_path / "whole"
        shutil.copytree(kept.folder, whole)
        path = random.choice(files(kept.folder))
        flip(path, random)
        said = kept.problem()
        assert said is not None and str(path) in said and "\n" not in said
        shutil.rmtree(kept.folder)
        whole.rename(kept.folder)
    assert kept.problem() is None


def cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def extend(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


def delete(path: Path, _: Path) -> None:
    path.unlink()


def link(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


def add(path: Path, _: Path) -> None:
    path.with_name(f"{path.name}.more").write_bytes(b"foreign")


def swap(path: Path, other: Path) -> None:
    """Between two folders of equal size; the other one is put right again by the test."""
    if path.read_bytes() == other.read_bytes():
        other.write_bytes(bytes(reversed(path.read_bytes())))
    mine, theirs = path.read_bytes(), other.read_bytes()
    assert len(mine) == len(theirs)
    path.write_bytes(theirs)


@pytest.mark.parametrize("damage", [cut, empty, extend, delete, link, add, swap])
def test_any_file_that_is_not_as_it_was_is_found_and_named(kept, damage, tmp_path):
    for path in files(kept.folder):
        other = kept.other / path.relative_to(kept.folder)
        wholes = tmp_path / "whole", tmp_path / "whole-other"
        for folder, whole in zip((kept.folder, kept.other), wholes, strict=True):
            shutil.copytree(folder, whole)
        damage(path, other)
        if damage is swap:
            shutil.rmtree(kept.other)
            shutil.copytree(wholes[1], kept.other)
        said = kept.problem()
        # Another folder's manifest is whole itself: then the files are not those that it lists.
        named = "" if damage is swap and path.name == MANIFEST else path.name
        assert said is not None and str(kept.folder) in said and named in said
        for folder, whole in zip((kept.folder, kept.other), wholes, strict=True):
            shutil.rmtree(folder)
            whole.rename(folder)
    assert kept.problem() is None


def test_a_bit_of_a_large_sealed_folder_is_found_when_it_was_written(entry, times, monkeypatch):
    """What a disk does to a file without a write is found a week later at most: see seals.py."""
    monkeypatch.setattr(seals, "LARGE", 100)
    random = Random(8)
    made: list[str] = []

    def make(stage: Staging) -> None:
        made.append("")
        stage.write("tokens.bin", bytes(range(256)))

    for turn in range(times(100)):
        folder = cached("tokens", "large", make)
        assert len(made) == turn + 1
        flip(folder / "tokens.bin", random)
        assert cached("tokens", "large", make) == folder
        assert len(made) == turn + 2
        verify(folder)


@pytest.mark.each_backend
def test_a_resume_uses_the_checkpoint_before_a_damaged_one(config_file, loomlm_command, tmp_path):
    config = config_file(steps="30", checkpoint_every="10", keep_last="3")
    run = tmp_path / "runs" / "small"
    assert loomlm_command("run", config).code == 0
    unbroken = (run / "model" / "model.safetensors").read_bytes()
    lines = (run / "finetune" / "metrics.jsonl").read_bytes()
    # As if it had been killed after step 20, and the disk had not kept what it was given.
    for path in (run / "model", run / "finetune" / "checkpoints" / "00000030"):
        shutil.rmtree(path)
    (run / "evaluation.json").unlink()
    damaged = run / "finetune" / "checkpoints" / "00000020" / "optimizer.safetensors"
    flip(damaged, Random(9))
    rotten = damaged.read_bytes()

    done = loomlm_command("run", config, "--resume")

    assert done.code == 0, done.err
    said = f"Checkpoint 20 is damaged and left alone: {damaged} has changed since it was written."
    assert done.err.count(said) == 1
    assert (run / "model" / "model.safetensors").read_bytes() == unbroken
    assert (run / "finetune" / "metrics.jsonl").read_bytes() == lines
    assert [path.read_bytes() for path in run.rglob("0*.damaged/optimizer.safetensors")] == [rotten]
