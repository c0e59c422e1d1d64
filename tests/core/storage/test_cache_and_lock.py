"""Prepared data is made once; a run's folder has one writer."""

from __future__ import annotations

import json
import mmap
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loomlm.errors import UsageError
from loomlm.storage import cache, lock, manifest, seals
from loomlm.storage.cache import cache_key, cached, place_of
from loomlm.storage.commit import Staging
from loomlm.storage.lock import locked, refuse_locked
from loomlm.storage.manifest import verify


class Made:
    """Fills a folder, and counts how often."""

    times = 0

    def __call__(self, stage: Staging) -> None:
        self.times += 1
        stage.write("data.bin", b"abc")


def test_what_was_prepared_is_used_again():
    make = Made()

    folders = {cached("examples", "key", make) for _ in range(3)}

    assert folders == {place_of("examples", "key")}
    assert make.times == 1
    cached("examples", "other key", make)
    cached("tokens", "key", make)
    assert make.times == 3


@pytest.mark.parametrize("damage", ["changed", "missing", "foreign"])
def test_what_is_damaged_is_made_again(damage):
    make = Made()
    folder = cached("examples", "key", make)
    if damage == "changed":
        (folder / "data.bin").write_bytes(b"abd")
    elif damage == "missing":
        (folder / "data.bin").unlink()
    else:
        (folder / "more.bin").write_bytes(b"")

    assert cached("examples", "key", make) == folder
    assert make.times == 2
    verify(folder)
    assert (folder / "data.bin").read_bytes() == b"abc"


def test_what_failed_to_be_made_is_not_there():
    def fail(stage: Staging) -> None:
        stage.write("data.bin", b"abc")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cached("examples", "key", fail)

    make = Made()
    cached("examples", "key", make)
    assert make.times == 1


def test_keys_differ_where_values_do_and_are_the_same_in_every_process():
    assert cache_key({"a": 1, "b": [2.5, None]}) == cache_key({"b": [2.5, None], "a": 1})
    assert len({cache_key(*parts) for parts in [(1,), ("1",), (1, 2), ([1, 2],), (None,), ()]}) == 6
    code = "from loomlm.storage.cache import cache_key; print(cache_key('ä', {'x': True}))"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.strip() == cache_key("ä", {"x": True})


def test_what_another_version_made_is_not_taken(monkeypatch):
    make = Made()
    cached("examples", "key", make)
    monkeypatch.setattr(cache, "_version", lambda: "99.0")
    cached("examples", "key", make)

    assert make.times == 2


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "file"))

    with pytest.raises(UsageError, match=r"file.examples cannot be written.*LOOMLM_CACHE"):
        cached("examples", "key", Made())


HOLD = """
import sys
from pathlib import Path
from loomlm.storage.lock import locked, refuse_locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the folder's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_writes(tmp_path, holder):
    said = rf"another process \(pid {holder.pid} on {socket.gethostname()}, since 20"
    refused = pytest.raises(UsageError, match=said)
    with refused, locked(tmp_path):
        pass

    holder.communicate("")
    with locked(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()

    with locked(tmp_path):
        assert json.loads((tmp_path / ".owner").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".owner").exists()


def test_who_is_refused_leaves_the_note_of_the_owner(tmp_path, holder):
    before = (tmp_path / ".owner").read_bytes()

    refused = f"pid {holder.pid}"
    with pytest.raises(UsageError, match=refused), locked(tmp_path):
        pass
    with pytest.raises(UsageError, match=refused):
        refuse_locked(tmp_path)
    assert (tmp_path / ".owner").read_bytes() == before


def test_an_owner_that_has_not_said_who_it_is_is_unknown(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    (tmp_path / ".owner").unlink()

    with pytest.raises(UsageError, match="it has not said which"), locked(tmp_path):
        pass


def test_an_early_look_at_a_free_lock_changes_nothing(tmp_path):
    refuse_locked(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / ".owner").write_text('{"pid": 1}')
    refuse_locked(tmp_path)
    assert (tmp_path / ".owner").read_text() == '{"pid": 1}'


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError

    with locked(tmp_path):
        pass


def test_a_lock_that_cannot_be_made_is_an_error_for_the_user(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="file cannot be written"), locked(tmp_path / "file"):
        pass


# --- large folders -------------------------------------------------------------------------------


class Large:
    """Fills a folder that is large for these tests, and counts how often."""

    times = 0

    def __call__(self, stage: Staging) -> None:
        self.times += 1
        stage.write("data.bin", b"abc" * 1000)
        stage.write("more/data.bin", b"xyz")


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The files whose contents were read to be verified. A large folder is one of 1,000 bytes."""
    monkeypatch.setattr(seals, "LARGE", 1000)
    names: list[str] = []
    digest = manifest.file_digest
    monkeypatch.setattr(
        manifest, "file_digest", lambda path: (names.append(path.name), digest(path))[1]
    )
    return names


def test_a_large_folder_is_read_again_only_where_it_was_written_to(read):
    make = Large()
    folder = cached("tokens", "key", make)

    cached("tokens", "key", make)
    assert read == []
    os.utime(folder / "data.bin")
    cached("tokens", "key", make)
    assert read == ["data.bin"]
    read.clear()
    cached("tokens", "key", make)
    assert read == []
    assert make.times == 1


@pytest.mark.parametrize(
    "damage", ["written", "within", "written with the old time", "swapped", "cut", "foreign"]
)
def test_a_large_folder_that_is_damaged_is_made_again(read, damage):
    make = Large()
    folder = cached("tokens", "key", make)
    path = folder / "data.bin"
    before = path.stat()
    if damage == "written":
        path.write_bytes(b"abd" * 1000)
    elif damage == "within":
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            view[5] = 0
            view.flush()
    elif damage == "written with the old time":
        path.write_bytes(b"abd" * 1000)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif damage == "swapped":
        other = folder.parent / "other"
        other.write_bytes(b"abd" * 1000)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(path)
    elif damage == "cut":
        path.write_bytes(b"abc" * 999)
    else:
        (folder / "foreign.bin").write_bytes(b"")

    assert cached("tokens", "key", make) == folder
    assert make.times == 2
    verify(folder)
    assert path.read_bytes() == b"abc" * 1000


def test_a_seal_that_is_old_or_another_folder_s_or_ruined_vouches_for_nothing(read):
    make = Large()
    folder = cached("tokens", "key", make)
    path = folder.parent / f".{folder.name}.seal.json"
    week = time.time() - 8 * 86400

    for spoil in (
        lambda: os.utime(path, (week, week)),
        lambda: path.write_text("{"),
        lambda: path.write_text(path.read_text().replace('"manifest": "', '"manifest": "0')),
        path.unlink,
    ):
        read.clear()
        spoil()
        cached("tokens", "key", make)
        assert read == ["data.bin", "data.bin"]
        read.clear()
        cached("tokens", "key", make)
        assert read == []
    assert make.times == 1
