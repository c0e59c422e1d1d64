"""Folders are complete or not there, and what is not as it was written is found."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loomlm.errors import UsageError
from loomlm.storage.commit import (
    MANIFEST,
    DamagedError,
    HashingFile,
    commit,
    file_digest,
    staging,
    verify,
    write_file,
)

FILES = {"config.json": b"{}", "deep/er/weights.bin": b"\x00" * 5000}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def full_disk(file: HashingFile) -> None:
    file.write(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A committed folder."""
    folder = tmp_path / "parent" / "kept"
    commit(folder, FILES)
    return folder


def test_a_folder_holds_exactly_its_files_and_a_manifest(folder):
    verify(folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())

    assert contents(folder) == FILES
    assert manifest["files"]["config.json"] == {
        "size": 2,
        "sha256": file_digest(folder / "config.json"),
    }
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_a_new_folder_takes_the_place_of_the_old_one_whole(folder):
    commit(folder, {"other": b"new"})

    verify(folder)
    assert contents(folder) == {"other": b"new"}
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_a_failure_in_the_middle_leaves_the_old_folder(folder):
    with pytest.raises(UsageError, match="kept cannot be written: No space left on device"):
        commit(folder, {"config.json": b"[]", "more": full_disk})
    with pytest.raises(ZeroDivisionError), staging(folder) as stage:
        stage.write("config.json", b"[]")
        raise ZeroDivisionError

    verify(folder)
    assert contents(folder) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_a_failure_in_the_middle_of_the_first_time_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="No space left"):
        commit(tmp_path / "parent" / "kept", {"a": b"a", "more": full_disk})

    assert not list((tmp_path / "parent").iterdir())


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_old_folder(folder, monkeypatch, failing):
    rename, calls = Path.rename, []

    def sometimes(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", sometimes)
    with pytest.raises(UsageError, match="Permission denied"):
        commit(folder, {"other": b"new"})

    verify(folder)
    assert contents(folder) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


KILLED = """
import os, signal, sys
from pathlib import Path
from loomlm.storage.commit import commit

def die(file):
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

commit(Path(sys.argv[1]), {"config.json": b"[]", "more": die})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
def test_a_killed_process_leaves_the_old_folder(folder):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)

    assert done.returncode < 0
    verify(folder)
    assert contents(folder) == FILES


AGAIN = """
import sys
from pathlib import Path
from loomlm.storage.commit import commit

for turn in range(40):
    commit(Path(sys.argv[1]), {"a": sys.argv[2].encode(), "b": sys.argv[2].encode()})
"""


def test_several_processes_at_once_leave_one_whole_folder(tmp_path):
    folder = tmp_path / "parent" / "kept"
    command = [sys.executable, "-c", AGAIN, str(folder)]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    verify(folder)
    assert len(set(contents(folder).values())) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def change(folder: Path) -> None:
    (folder / "deep/er/weights.bin").write_bytes(b"\x01" + b"\x00" * 4999)


def cut(folder: Path) -> None:
    (folder / "deep/er/weights.bin").write_bytes(b"\x00" * 4000)


def lose(folder: Path) -> None:
    (folder / "config.json").unlink()


def add(folder: Path) -> None:
    (folder / "deep" / "foreign.bin").write_bytes(b"x")


def touch_manifest(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"size": 2', b'"size": 3'))


def lose_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def ruin_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\xff[1]")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change, r"weights\.bin has changed since it was written\."),
        (cut, r"weights\.bin has 4000 bytes; 5000 were written\."),
        (lose, r"config\.json is missing\."),
        (add, r"foreign\.bin does not belong there: the manifest lacks it\."),
        (touch_manifest, r"manifest\.json has changed since it was written\."),
        (lose_manifest, r"manifest\.json is missing or cannot be read\."),
        (ruin_manifest, r"manifest\.json is missing or cannot be read\."),
        (shutil.rmtree, r"manifest\.json is missing or cannot be read\."),
    ],
)
def test_damage_is_found_and_named(folder, damage, said):
    damage(folder)

    with pytest.raises(DamagedError, match=said):
        verify(folder)


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match=r"file.kept cannot be written: .*another folder"):
        commit(tmp_path / "file" / "kept", FILES)
    with pytest.raises(UsageError, match=r"file.report cannot be written"):
        write_file(tmp_path / "file" / "report", "x")


def test_one_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.json"
    write_file(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"

    def fail(self: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match=r"report.json cannot be written: Input/output error"):
        write_file(path, "b")
    assert path.read_text(encoding="utf-8") == "ä\n"
    assert [kept.name for kept in path.parent.iterdir()] == ["report.json"]
