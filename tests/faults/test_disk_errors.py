"""A disk that fails at any write: what stood there stands, and the user is told in one line."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from loomlm.storage.commit import sweep
from loomlm.storage.disk import using

from .disks import Failing, Watched, tree
from .stored import JOBS, ended, outcome, spread

pytestmark = pytest.mark.one_backend

CODES = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES")}
CLEARED = ("remove", "remove_folder", "rename")
REPLACED = ("file", "lines cut back")
"""Of a file, the old bytes are gone when the new ones have its name: the sync comes after that."""

Fresh = Callable[[], Path]


@pytest.mark.parametrize(
    "job", [job for job in JOBS if job.name not in ("swept", "removed")], ids=str
)
def test_an_error_at_any_operation_is_one_line_and_leaves_all_as_it_was(job, fresh, long):
    done = fresh()
    job.write(done)
    after, before = job.look(done), files(fresh())
    failures = 0
    codes = cycle(CODES)
    for at in count(1):
        for name in CODES if long else [next(codes)]:
            folder = fresh()
            disk = Failing(at, CODES[name])
            with using(disk):
                error = outcome(job.write, folder)
            if not disk.failed:
                assert failures
                return
            if error is None:
                # What cannot be cleared up does no harm, and is cleared up by the next sweep.
                assert disk.failed[0] in CLEARED or job.look(folder) == after
                sweep(folder)
                assert job.look(folder) == after
            else:
                failures += 1
                assert error.exit_code == 1
                _check_message(str(error), folder, name)
                if not (job.name in REPLACED and disk.failed == ["sync_folder"]):
                    assert files(folder) == before
                with using(Watched()):  # The disk works again.
                    job.write(folder)
                assert job.look(folder) == after
            assert not list(folder.rglob(".*"))


def files(folder: Path) -> dict[str, bytes]:
    return {path: content for path, content in tree(folder).items() if content is not None}


def _check_message(said: str, folder: Path, name: str) -> None:
    assert said.startswith(f"{folder}{os.sep}") and "\n" not in said
    assert f"cannot be written: {os.strerror(CODES[name])}" in said
    assert said.endswith("then go on.")
    if name in ("ENOSPC", "EDQUOT"):
        assert "bytes are needed" in said and "are free" in said


@pytest.mark.each_backend
def test_a_run_whose_disk_is_full_once_goes_on_or_says_so_and_can_be_resumed(
    config_file, loomlm_command, monkeypatch, tmp_path, times
):
    config = config_file(steps="12", checkpoint_every="4", keep_last="2")

    def call(name: str, *words: object) -> Any:
        monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache" / name))
        return loomlm_command("run", config, "--runs", tmp_path / name, *words)

    disk = Watched()
    with using(disk):
        assert call("whole").code == 0
    whole, went_on = ended(tmp_path / "whole" / "small"), 0
    for at in spread(disk.count, times(40)):
        failing = Failing(at, errno.ENOSPC)
        with using(failing):
            done = call(f"at{at}")
        # When lines are written depends on the clock, so that the last operations may not come.
        assert failing.failed or done.code == 0
        if done.code == 0:
            went_on += 1
        else:
            assert done.code == 1
            errors = [line for line in done.err.splitlines() if line.startswith("Error: ")]
            assert len(errors) == 1 and errors[0] == done.err.splitlines()[-1]
            assert "No space left on device" in errors[0]
            with using(Watched()):
                assert call(f"at{at}", "--resume").code == 0
        assert ended(tmp_path / f"at{at}" / "small") == whole
    assert went_on


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here: that takes the rights of root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_run_on_a_small_full_disk_goes_on_once_there_is_space(
    config_file, loomlm_command, small_disk, tmp_path
):
    config = config_file(steps="12", checkpoint_every="4", keep_last="2")
    assert loomlm_command("run", config).code == 0
    whole = ended(tmp_path / "runs" / "small")
    for kilobytes in (0, 4, 40, 150, 300):
        filler = small_disk / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - kilobytes * 1024))

        full = loomlm_command("run", config, "--runs", small_disk)

        assert full.code == 1
        said = full.err.splitlines()[-1]
        assert said.startswith(f"Error: {small_disk}"), said
        assert "free" in said
        filler.unlink()
        done = loomlm_command("run", config, "--runs", small_disk, "--resume")
        assert done.code == 0, done.err
        assert ended(small_disk / "small") == whole
        shutil.rmtree(small_disk / "small")
