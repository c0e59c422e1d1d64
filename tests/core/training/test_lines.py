"""metrics.jsonl has each line once, whatever happened to the process or to the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from loomlm.storage.disk import Disk, DiskFile, WriteError, using
from loomlm.training.lines import Lines


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def lines(tmp_path: Path, said: list[str]) -> Lines:
    return Lines(tmp_path / "metrics.jsonl", said.append)


class Full(Disk):
    """Writes no more than the first half of what it is given. cuts: whether it can cut a file."""

    def __init__(self, cuts: bool) -> None:
        self.cuts = cuts

    def write(self, file: DiskFile, data: memoryview) -> None:
        super().write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def cut(self, path: Path, size: int) -> None:
        if not self.cuts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().cut(path, size)


@pytest.mark.parametrize("cuts", [True, False])
def test_what_a_full_disk_refused_is_written_later_with_one_warning(lines, said, cuts):
    lines.write({"step": 1})
    with using(Full(cuts)):
        lines.write({"step": 2})
        lines.write({"step": 3})
        lines.write({"step": 4})
        with pytest.raises(WriteError, match=r"metrics\.jsonl cannot be written"):
            lines.end()
    lines.write({"step": 5})
    lines.end()

    assert lines.path.read_text() == "".join(f'{{"step": {step}}}\n' for step in range(1, 6))
    assert len(said) == 1 and "at least 12 bytes are needed" in said[0]


def test_it_warns_anew_when_the_disk_is_full_again(lines, said):
    for step in (1, 3):
        with using(Full(True)):
            lines.write({"step": step})
        lines.write({"step": step + 1})

    assert len(said) == 2


def test_lines_of_later_steps_go_and_what_is_no_line(lines):
    whole = '{"step": 1, "split": "train"}\n{"step": 2, "split": "train"}\n'
    ruined = b'5\n[]\n{"a": 1}\n{"step": "2"}\n\xff\xfe\n{"step": 2, "loss": 1.5'
    lines.path.write_bytes(whole.encode() + b'{"step": 3, "split": "train"}\n' + ruined)

    lines.cut_back(2)

    assert lines.path.read_text() == whole
    assert [path.name for path in lines.path.parent.iterdir()] == ["metrics.jsonl"]


def test_an_evaluation_that_is_still_to_come_goes_too(lines):
    trained = {"step": 2, "split": "train"}
    lines.write({"step": 1, "split": "validation"}, trained, {"step": 2, "split": "validation"})

    lines.cut_back(2, unscored=True)

    assert lines.path.read_text().splitlines()[1:] == ['{"step": 2, "split": "train"}']


def test_nothing_is_written_where_nothing_is_to_be_cut(lines):
    lines.write({"step": 1})
    with using(Full(True)):
        lines.cut_back(1)
    assert lines.path.read_text() == '{"step": 1}\n'


def test_a_cut_that_fails_leaves_all_lines(lines):
    lines.write({"step": 1}, {"step": 2})
    with using(Full(True)), pytest.raises(WriteError, match=r"metrics\.jsonl cannot be written"):
        lines.cut_back(1)
    assert len(lines.path.read_text().splitlines()) == 2
