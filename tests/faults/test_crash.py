"""A crash or a loss of power at any moment: what stood there before can be loaded, or what came."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from loomlm.storage.disk import using

from .disks import Crash, Crashing, Recording, Watched, write_tree
from .stored import JOBS, Found, Job, recovered

pytestmark = pytest.mark.one_backend

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


@pytest.fixture
def states(job: Job, fresh: Fresh) -> tuple[Found, Found]:
    """What can be loaded before and after the job."""
    before, done = recovered(job, fresh()), fresh()
    job.write(done)
    return before, recovered(job, done)


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_a_crash_at_any_operation_leaves_the_old_state_or_the_new(job, fresh, states):
    found = []
    for at in count(1):
        folder, disk = fresh(), Crashing(at)
        with using(disk), suppress(Crash):
            job.write(folder)
        found.append(recovered(job, folder))
        if not disk.crashed:
            break
    before, after = states
    assert len(found) > 2
    assert all(one in (before, after) for one in found)
    assert found[0] == before and found[-1] == after


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_a_loss_of_power_leaves_the_old_state_or_the_new(job, fresh, states, tmp_path):
    folder = fresh()
    disk = Recording(folder)
    with using(disk):
        job.write(folder)
    before, after = states
    found = []
    for number, root in enumerate(disk.lost()):
        place = tmp_path / f"lost{number}"
        write_tree(root, place)
        found.append(recovered(job, place))
        assert found[-1] in (before, after)
    assert found[0] == before and found[-1] == after
    write_tree(disk.lasting(), tmp_path / "lasting")
    assert job.name == "removed" or recovered(job, tmp_path / "lasting") == after
