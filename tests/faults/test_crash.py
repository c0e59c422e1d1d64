"""A crash or a loss of power at any moment: what stood there before can be loaded, or what came."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from loomlm import load_config
from loomlm.storage.cache import sweep_cache
from loomlm.storage.disk import using
from loomlm.storage.manifest import verify
from loomlm.training.run import prepare

from .disks import Crash, Crashing, Recording, Watched, tree, write_tree
from .stored import JOBS, Found, Job, ended, recovered, spread

pytestmark = [
    pytest.mark.one_backend,
    # A crash ends the thread that saves, and lets nobody clear up.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Fresh = Callable[[], Path]


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


@pytest.fixture
def preparing(config_file, monkeypatch) -> Callable[[Path], Found]:
    """Prepares a run's data with a cache of its own, as a process of its own: what is kept then."""
    config = load_config(config_file())
    pids = count(100_000)

    def prepared(cache: Path) -> Found:
        monkeypatch.setenv("LOOMLM_CACHE", str(cache))
        number = next(pids)
        monkeypatch.setattr(os, "getpid", lambda: number)
        prepare(config.settings, config.registry, lambda _: None)
        sweep_cache()
        return entries_of(cache)

    return prepared


def entries_of(cache: Path) -> Found:
    """What can be found in a cache. All of it is whole."""
    folders = list(cache.glob("[!.]*/[!.]*"))
    for folder in folders:
        verify(folder)
    return {folder.relative_to(cache).as_posix(): tree(folder) for folder in folders}


def test_a_crash_at_any_operation_of_a_preparation_leaves_nothing_that_is_not_whole(
    preparing, tmp_path, long
):
    step = 1 if long else 10
    with using(Watched()):
        whole = preparing(tmp_path / "whole")
    for at in count(1, step):
        cache, disk = tmp_path / str(at), Crashing(at)
        with using(disk), suppress(Crash):
            preparing(cache)
        assert entries_of(cache).items() <= whole.items()
        if not disk.crashed:
            break
        with using(Watched()):
            assert preparing(cache) == whole
        left = [path.name for path in cache.glob("*/.*") if path.parent.name != ".held"]
        assert not left
        shutil.rmtree(cache)
    assert at > 50 and len(whole) > 3


def test_a_loss_of_power_in_a_preparation_leaves_nothing_that_is_not_whole(
    preparing, tmp_path, long
):
    disk = Recording(tmp_path)
    with using(disk):
        whole = preparing(tmp_path / "cache")
    found = []
    for number, root in enumerate(disk.lost()):
        if long or number % 10 == 0:
            place = tmp_path / "lost"
            write_tree(root, place)
            found.append(len(entries_of(place / "cache")))
            assert entries_of(place / "cache").items() <= whole.items()
            shutil.rmtree(place)
    assert found[0] == 0
    write_tree(disk.lasting(), tmp_path / "lasting")
    assert entries_of(tmp_path / "lasting" / "cache") == whole


@pytest.mark.each_backend
def test_a_run_that_crashed_anywhere_goes_on_to_the_same_weights(
    config_file, loomlm_command, monkeypatch, tmp_path, times
):
    words = ("run", config_file(steps="12", checkpoint_every="4", keep_last="2"), "--runs")
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    with using(Watched()):
        loomlm_command(*words, tmp_path / "warm")
        disk = Watched()
        with using(disk):
            assert loomlm_command(*words, tmp_path / "whole").code == 0
    whole = ended(tmp_path / "whole" / "small")
    for at in spread(disk.count, times(40)):
        runs = tmp_path / f"at{at}"
        with using(Crashing(at)), suppress(Crash):
            loomlm_command(*words, runs)
        with using(Watched()):
            done = loomlm_command(*words, runs, "--resume")
        assert done.code == 0, (at, done.err)
        assert ended(runs / "small") == whole
