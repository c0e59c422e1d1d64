"""Folders that are complete or not there: written beside the target, synced, renamed.

Every committed folder holds `manifest.json`: the exact set of files with sizes and SHA-256, and
the manifest's own digest, so that a damaged or foreign file is found before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from attrs import define, field

from loomlm.errors import LoomlmError, UsageError

MANIFEST = "manifest.json"
CHUNK = 1 << 20
LEFT_OVER = re.compile(r"\..+\.(\d+|old)-[0-9a-f]{8}")
"""Names of neighbours: what is being written, and what is being replaced."""

Content = bytes | Callable[["HashingFile"], None]


class DamagedError(LoomlmError):
    """A committed folder is not as it was written."""


class HashingFile:
    """A file that is hashed as it is written. Writes only go forward."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        self._digest.update(data)
        view = memoryview(data)
        self.size += view.nbytes
        return self._file.write(data)

    def record(self) -> dict[str, Any]:
        """What the manifest says of the file."""
        return {"size": self.size, "sha256": self._digest.hexdigest()}


@define
class Staging:
    """A folder in the making: open files in it; they are synced when the folder is committed."""

    folder: Path
    records: dict[str, dict[str, Any]] = field(factory=dict)

    @contextmanager
    def open(self, name: str) -> Iterator[HashingFile]:
        """A new file, synced when it is closed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            hashing = HashingFile(file)
            yield hashing
            file.flush()
            os.fsync(file.fileno())
        self.records[name] = hashing.record()

    def write(self, name: str, content: Content) -> None:
        """A whole file: bytes, or a function that writes it."""
        with self.open(name) as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)


@contextmanager
def staging(target: Path, first_stays: bool = False) -> Iterator[Staging]:
    """Fill a folder beside `target`; it takes the target's place when the block ends well.

    A folder that stands there already is replaced, and removed only after the new one is
    complete; with `first_stays` it is kept instead, and the new one is dropped. Raises UsageError
    naming the path when something cannot be written.
    """
    target = Path(target)
    neighbour = target.parent / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        neighbour.mkdir()
        stage = Staging(neighbour)
        yield stage
        _write_manifest(stage)
        if first_stays:
            _put(neighbour, target)
        else:
            _swap(neighbour, target)
    except OSError as error:
        raise UsageError(_cannot_write(target, error)) from error
    finally:
        shutil.rmtree(neighbour, ignore_errors=True)


def commit(target: Path, files: Mapping[str, Content]) -> None:
    """Write a folder with exactly these files, complete or not at all."""
    with staging(target) as stage:
        for name, content in files.items():
            stage.write(name, content)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left half written, in a folder and those below it.

    Nothing else may be writing there.
    """
    for path in [path for path in folder.rglob(".*") if LEFT_OVER.fullmatch(path.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_file(path: Path, content: str) -> None:
    """Replace one file by a new one, complete or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(_cannot_write(path, error)) from error
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes a path's place when the block ends well.

    Raises UsageError naming the path when it cannot be written.
    """
    neighbour = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with neighbour.open("x", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UsageError(_cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            neighbour.unlink(missing_ok=True)


def verify(folder: Path, whole: frozenset[str] = frozenset()) -> None:
    """Raise DamagedError, naming the file, unless a folder is as it was committed.

    whole: names of files whose contents are known to be, and are not read.
    """
    records = _read_manifest(folder)
    present = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    } - {MANIFEST}
    if extra := sorted(present - records.keys()):
        raise DamagedError(f"{folder / extra[0]} does not belong there: the manifest lacks it.")
    for name, record in records.items():
        path = folder / name
        if name not in present:
            raise DamagedError(f"{path} is missing.")
        if path.stat().st_size != record["size"]:
            raise DamagedError(
                f"{path} has {path.stat().st_size} bytes; {record['size']} were written."
            )
        if name not in whole and file_digest(path) != record["sha256"]:
            raise DamagedError(f"{path} has changed since it was written.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_manifest(stage: Staging) -> None:
    body = {"files": dict(sorted(stage.records.items()))}
    manifest = {**body, "digest": _digest(body)}
    stage.write(MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        body = {"files": manifest["files"]}
        whole = manifest["digest"] == _digest(body)
    except (OSError, ValueError, KeyError, TypeError):
        raise DamagedError(f"{path} is missing or cannot be read.") from None
    if not whole:
        raise DamagedError(f"{path} has changed since it was written.")
    return body["files"]


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _put(neighbour: Path, target: Path) -> None:
    """Put a folder where none stands; where one does, it stays."""
    _sync_folder(neighbour)
    try:
        neighbour.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    _sync_folder(target.parent)


def _swap(neighbour: Path, target: Path) -> None:
    """Put a folder in the target's place; the last of several processes that do so has it."""
    _sync_folder(neighbour)
    old = target.parent / f".{target.name}.old-{secrets.token_hex(4)}"
    while not _swapped(neighbour, target, old):
        shutil.rmtree(old, ignore_errors=True)
    _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _swapped(neighbour: Path, target: Path, old: Path) -> bool:
    """Whether it went through: False where another process put its own folder there meanwhile."""
    with suppress(FileNotFoundError):
        target.rename(old)
    try:
        neighbour.rename(target)
    except OSError as error:
        # By its number too: a third process may have moved the other's folder away since.
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY) or target.exists():
            return False
        if old.exists():
            old.rename(target)
        raise
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no way to sync a folder.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{path} cannot be written: {reason}. Free space or choose another folder, then go on."
