"""A disk that fails at any write: what stood there stands, and the user is told in one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path

import pytest

from loomlm.storage.commit import sweep
from loomlm.storage.disk import using

from .disks import Failing, Watched, tree
from .stored import JOBS, Job, outcome

pytestmark = pytest.mark.one_backend

CODES = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES")}
CLEARED = ("remove", "remove_folder", "rename")
REPLACED = ("file", "lines cut back")
"""Of a file, the old bytes are gone when the new ones have its name: the sync comes after that."""

Fresh = Callable[[], Path]


@pytest.fixture
def fresh(job: Job, tmp_path: Path) -> Fresh:
    """Makes a folder with what stands there before the job, again and again."""
    numbers = count()

    def make() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        with using(Watched()):
            job.prepare(folder)
        return folder

    return make


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
