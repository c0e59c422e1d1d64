"""What a killed process leaves of a run's folder is nothing, or a run that can go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loomlm.errors import LoomlmError, UsageError
from loomlm.storage.disk import Disk, using
from loomlm.training.folder import check_place, claim, started
from loomlm.training.lines import Lines


class KilledError(BaseException):
    """Nothing that the code could catch: as if the process were gone."""


class Killing(Disk):
    """Counts what is moved, and does no more once it has done so many moves."""

    def __init__(self, moves: int) -> None:
        self.left = moves

    def rename(self, path: Path, target: Path) -> None:
        self._count()
        super().rename(path, target)

    def replace(self, path: Path, target: Path) -> None:
        self._count()
        super().replace(path, target)

    def _count(self) -> None:
        if self.left == 0:
            raise KilledError
        self.left -= 1


def a_run(folder: Path) -> Path:
    """A folder with what a run that has ended has."""
    for name in ("config.toml", "environment.json", "evaluation.json"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    for name in ("finetune/metrics.jsonl", "model/model.safetensors", "tokenizer/tokenizer.json"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("{}")
    return folder


def lines_of(path: Path) -> Lines:
    return Lines(path, lambda said: None)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_folder_with_a_config_that_was_being_written_is_free(tmp_path):
    (tmp_path / ".config.toml.4711-0123abcd").write_text("name =")
    (tmp_path / ".lock").touch()
    check_place(tmp_path)

    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"is no run.*notes\.txt"):
        check_place(tmp_path)


def test_a_run_has_started_when_all_of_its_beginning_is_there(tmp_path):
    run = a_run(tmp_path / "run")
    assert started(run)
    (run / "tokenizer" / "tokenizer.json").unlink()
    (run / "tokenizer").rmdir()
    assert not started(run)


@pytest.mark.parametrize("moves", range(7))
def test_a_run_that_is_half_overwritten_is_one_that_has_not_ended(tmp_path, moves):
    run = a_run(tmp_path / "run")
    before = names(run)

    with using(Killing(moves)):
        if moves < len(before):
            with pytest.raises(KilledError):
                claim(run, None, True, None)  # pyright: ignore - no config is read to overwrite
        else:
            claim(run, None, True, None)  # pyright: ignore - likewise

    left = names(run)
    assert len(left) == len(before) - moves
    check_place(run)
    assert moves == 0 or "evaluation.json" not in left
    assert not left or "config.toml" in left
    for name in left & {"finetune", "model", "tokenizer"}:
        assert len(list((run / name).iterdir())) == 1


def test_a_log_that_is_cut_back_is_never_half_there(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "split": "train"}) + "\n" for step in range(1, 9)]
    path.write_text("".join(lines) + '{"step": 9, "spl')
    before = path.read_text()

    with using(Killing(0)), pytest.raises((KilledError, LoomlmError)):
        lines_of(path).cut_back(5)
    assert path.read_text() == before

    lines_of(path).cut_back(5)
    assert path.read_text() == "".join(lines[:5])
