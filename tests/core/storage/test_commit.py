"""Folders are complete or not there, and what is not as it was written is found."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loomlm.errors import UsageError
from loomlm.storage.commit import HashingFile, commit, staging, sweep, write_file
from loomlm.storage.disk import Disk, WriteError, using
from loomlm.storage.manifest import MANIFEST, DamagedError, file_digest, manifest_of, verify

FILES = {"config.json": b"{}", "deep/er/weights.bin": b"\x00" * 5000}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


class Failing(Disk):
    """Fails in the n-th operation of a name, once."""

    def __init__(self, operation: str, code: int, at: int = 1) -> None:
        self.left = at
        self.code = code
        setattr(self, operation, partial(self.counted, getattr(super(), operation)))

    def counted(self, operation: Callable[..., Any], *given: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))
        return operation(*given)


def ruin(file: HashingFile) -> None:
    file.write(b"half")
    raise ZeroDivisionError


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
    with (
        using(Failing("write", errno.ENOSPC, at=2)),
        pytest.raises(WriteError, match="kept cannot be written: No space left on device"),
    ):
        commit(folder, {"config.json": b"[]", "more": b"more"})
    with pytest.raises(ZeroDivisionError):
        commit(folder, {"config.json": b"[]", "more": ruin})

    verify(folder)
    assert contents(folder) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_a_failure_in_the_middle_of_the_first_time_leaves_nothing(tmp_path):
    with using(Failing("write", errno.EDQUOT, at=2)), pytest.raises(WriteError, match="quota"):
        commit(tmp_path / "parent" / "kept", {"a": b"a", "more": b"more"})

    assert not list((tmp_path / "parent").iterdir())


def test_a_full_disk_says_what_it_takes_and_what_there_is(folder):
    class Full(Failing):
        def free(self, path: Path) -> int:
            return 1234

    files = {"a": b"a" * 40, "more": b"more" * 500, "last": b"never written"}
    said = "at least 2,053 bytes are needed, 1,234 are free. Free space or choose another folder"
    with using(Full("write", errno.ENOSPC)), pytest.raises(WriteError, match=said) as raised:
        commit(folder, files)
    assert raised.value.exit_code == 1
    assert "\n" not in str(raised.value)
    commit(folder, files)
    assert contents(folder) == files


def test_what_a_content_fails_for_is_not_blamed_on_the_disk(folder):
    with pytest.raises(FileNotFoundError, match="elsewhere"), staging(folder) as stage:
        stage.write("data.bin", b"")
        Path("elsewhere").read_bytes()
    assert contents(folder) == FILES


@pytest.mark.parametrize("operation", ["rename 1", "rename 2", "sync_folder 1", "sync_folder 2"])
def test_a_rename_that_fails_leaves_the_old_folder(folder, operation):
    name, at = operation.split()
    failing = using(Failing(name, errno.EACCES, int(at)))
    with failing, pytest.raises(WriteError, match=r"Permission denied.*made writable"):
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


def test_a_folder_whose_successor_did_not_come_is_put_back(folder):
    whole, ruined = folder.with_name(".kept.old-00000000"), folder.with_name(".b.old-00000000")
    shutil.copytree(folder, ruined)
    (ruined / "config.json").write_bytes(b"[]")
    folder.with_name(".b.12-00000000").mkdir()
    folder.rename(whole)

    sweep(folder.parents[1])

    assert [path.name for path in folder.parent.iterdir()] == ["kept"]
    verify(folder)
    shutil.copytree(folder, whole)
    sweep(folder.parents[1])
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_a_link_is_no_file(folder, tmp_path):
    path = folder / "config.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DamagedError, match=r"config\.json is no file any more"):
        verify(folder)


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


def deepen_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"[" * 100_000)


def forge_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(manifest_of({"config.json": {"size": "2"}}))


def enlarge_manifest(folder: Path) -> None:
    os.truncate(folder / MANIFEST, 1 << 40)


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
        (deepen_manifest, r"manifest\.json is missing or cannot be read\."),
        (forge_manifest, r"manifest\.json is missing or cannot be read\."),
        (enlarge_manifest, r"manifest\.json is missing or cannot be read\."),
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


def test_one_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "report.json"
    write_file(path, "ä\n")
    assert path.read_bytes() == b"\xc3\xa4\n"

    said = r"report.json cannot be written: Input/output error. Have the disk looked at"
    for operation in ("create", "write", "sync", "replace"):
        with using(Failing(operation, errno.EIO)), pytest.raises(WriteError, match=said):
            write_file(path, "b")
    assert path.read_text(encoding="utf-8") == "ä\n"
    assert [kept.name for kept in path.parent.iterdir()] == ["report.json"]
