"""Processes share a cache: the first to end has a place, and nobody's data is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loomlm.storage.cache import (
    cache_folder,
    cached,
    clear,
    entries,
    place_of,
    sweep_cache,
    watching,
)
from loomlm.storage.commit import Staging, verify

# Makes one folder after another, or stops in the middle of one for good.
MAKE = """
import sys, time
from loomlm.storage.cache import cached

def fill(stage):
    stage.write("data.bin", b"abc" * 1000)
    if sys.argv[2] == "stop":
        with stage.open("half.bin") as file:
            file.write(b"half")
            print("half", flush=True)
            sys.stdin.read()

for number in range(int(sys.argv[1])):
    folder = cached("examples", f"key{number}", fill)
    with open(folder / "data.bin", "rb") as file:
        assert len(file.read()) == 3000
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def maker():
    """Starts processes that make folders of the cache."""
    processes = []

    def start(count: int, how: str = "on") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", MAKE, str(count), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """The next word of a process, or what it died of."""
    assert process.stdout is not None and process.stderr is not None
    return process.stdout.readline().strip() or process.stderr.read()


def make(stage: Staging) -> None:
    stage.write("data.bin", b"abc" * 1000)


def test_processes_that_make_the_same_folders_all_find_them(maker):
    makers = [maker(60) for _ in range(4)]

    assert [said(process) for process in makers] == ["done"] * 4
    assert len(entries()) == 60
    for entry in entries():
        verify(entry.folder)
    assert not list(cache_folder().glob("examples/.*"))


def test_the_first_to_end_has_the_place(tmp_path):
    def slow(stage: Staging) -> None:
        make(stage)
        cached("examples", "key", make)  # As another process would, meanwhile.
        first.append(place_of("examples", "key").stat().st_ino)

    first: list[int] = []
    folder = cached("examples", "key", slow)

    assert folder.stat().st_ino == first[0]


def test_what_a_killed_process_left_is_removed_by_the_next_that_wants_it(maker):
    killed = maker(1, "stop")
    assert said(killed) == "half"
    assert list(cache_folder().glob("examples/.key0-*"))
    assert entries() == []
    killed.kill()
    killed.wait()

    folder = cached("examples", "key0", make)

    verify(folder)
    assert not list(cache_folder().glob("examples/.key0-*"))


def test_what_a_running_process_makes_is_left_alone(maker):
    running = maker(1, "stop")
    assert said(running) == "half"

    assert sweep_cache() == 0
    assert list(cache_folder().glob("examples/.key0-*"))
    running.kill()
    running.wait()

    assert sweep_cache() >= 3000
    assert not list(cache_folder().glob("examples/.key0-*"))


def test_clear_keeps_what_a_running_process_holds(maker):
    other, running = maker(3), maker(2)
    assert (said(other), said(running)) == ("done", "done")
    other.communicate("")

    removed, stay = clear(entries())

    assert [entry.key for entry in removed] == ["key2"]
    assert sorted(entry.key for entry in stay) == ["key0", "key1"]
    running.communicate("")
    assert len(clear(entries())[0]) == 2
    assert entries() == []


def test_a_killed_process_holds_nothing(maker):
    killed = maker(1)
    assert said(killed) == "done"
    killed.kill()
    killed.wait()

    removed, stay = clear(entries())

    assert ([entry.key for entry in removed], stay) == (["key0"], [])


def test_entries_say_what_is_kept_and_when_it_was_used():
    folder = cached("tokens", "old", make)
    year = time.time() - 365 * 86400
    for path in (folder / "manifest.json", folder):
        os.utime(path, (year, year))
    cached("examples", "new", make)

    new, old = entries()

    assert (new.kind, new.key, new.folder) == ("examples", "new", place_of("examples", "new"))
    assert (old.kind, old.key, old.folder) == ("tokens", "old", folder)
    assert old.made == old.used == pytest.approx(year, abs=2)
    assert old.bytes == sum(path.stat().st_size for path in folder.iterdir()) > 3000
    cached("tokens", "old", make)
    again = entries()[0] if entries()[0].key == "old" else entries()[1]
    assert again.made == pytest.approx(year, abs=2)
    assert again.used > new.made - 60


def test_watching_tells_what_was_made_and_what_was_there():
    cached("examples", "before", make)

    with watching() as uses:
        cached("examples", "before", make)
        cached("tokens", "key", make)
    cached("tokens", "behind", make)

    assert [(use.kind, use.key, use.made) for use in uses] == [
        ("examples", "before", False),
        ("tokens", "key", True),
    ]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anything")
def test_a_cache_that_can_only_be_read_is_read():
    folder = cached("examples", "key", make)
    paths = [folder.parent.parent, folder.parent, folder]
    for path in paths:
        path.chmod(0o555)
    try:
        assert cached("examples", "key", make) == folder
    finally:
        for path in paths:
            path.chmod(0o755)


def test_an_empty_cache_has_nothing_to_sweep(tmp_path: Path):
    assert (entries(), sweep_cache()) == ([], 0)
