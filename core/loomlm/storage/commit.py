"""Folders that are complete or not there: written beside the target, synced, renamed.

Every committed folder holds a manifest (`manifest.py`), so that a damaged or foreign file is found
before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import IO, Any

from attrs import define, field

from loomlm.storage.disk import DiskFile, cannot_write, disk, make_folders, remove_tree
from loomlm.storage.manifest import MANIFEST, DamagedError, manifest_of, verify

LEFT_OVER = re.compile(r"\..+\.(\d+|old|gone)-[0-9a-f]{8}")
"""Names of neighbours: what is being written, what is being replaced, and what is being removed."""

Content = bytes | Callable[["HashingFile"], None]
"""Of a file: its bytes, or what writes them. The latter may have a `size` in bytes."""


class _UnwrittenError(Exception):
    """The disk did not write; a content may raise an OSError for other reasons."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _UnwrittenError(error) from error


class HashingFile:
    """A file that is hashed as it is written. Writes only go forward."""

    def __init__(self, file: DiskFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        self._digest.update(data)
        size = memoryview(data).nbytes
        self.size += size
        with _writing():
            self._file.write(data)
        return size

    def record(self) -> dict[str, Any]:
        """What the manifest says of the file."""
        return {"size": self.size, "sha256": self._digest.hexdigest()}


@define
class Staging:
    """A folder in the making: open files in it; they are synced when the folder is committed."""

    folder: Path
    records: dict[str, dict[str, Any]] = field(factory=dict)
    _open: list[HashingFile] = field(factory=list)

    @property
    def size(self) -> int:
        """Bytes that were written so far, or should have been."""
        return sum(file.size for file in self._open)

    @contextmanager
    def open(self, name: str) -> Iterator[HashingFile]:
        """A new file, synced when it is closed."""
        path = self.folder / name
        with _writing():
            make_folders(path.parent)
            file = disk().create(path)
        with file:
            hashing = HashingFile(file)
            self._open.append(hashing)
            yield hashing
            with _writing():
                file.sync()
        self.records[name] = hashing.record()

    def write(self, name: str, content: Content) -> None:
        """A whole file: bytes, or a function that writes it."""
        with self.open(name) as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)


@contextmanager
def staging(target: Path, first_stays: bool = False, needed: int = 0) -> Iterator[Staging]:
    """Fill a folder beside `target`; it takes the target's place when the block ends well.

    A folder that stands there already is replaced, and removed only after the new one is
    complete; with `first_stays` it is kept instead, and the new one is dropped. needed: bytes that
    it will have, where that is known. Raises WriteError naming the path when something cannot be
    written, UsageError when the path cannot be; then all is as it was.
    """
    target = Path(target)
    neighbour = _neighbour(target)
    stage = Staging(neighbour)
    try:
        with _writing():
            make_folders(target.parent)
            disk().make_folder(neighbour)
        yield stage
        stage.write(MANIFEST, manifest_of(stage.records))
        with _writing():
            _sync_all(neighbour)
            if first_stays:
                _put(neighbour, target)
            else:
                _swap(neighbour, target)
    except _UnwrittenError as failed:
        remove_tree(neighbour)  # First, since what is free is told.
        needed = max(needed, stage.size)
        raise cannot_write(target, failed.error, needed) from failed.error
    finally:
        remove_tree(neighbour)


def commit(target: Path, files: Mapping[str, Content]) -> None:
    """Write a folder with exactly these files, complete or not at all."""
    with staging(target, needed=sum(map(size_of, files.values()))) as stage:
        for name, content in files.items():
            stage.write(name, content)


def size_of(content: Content) -> int:
    """The bytes of a file, 0 where that is not known before it is written."""
    return len(content) if isinstance(content, bytes) else getattr(content, "size", 0)


def remove(folder: Path) -> None:
    """Remove a committed folder, so that nobody ever finds half of it.

    Raises OSError where it cannot be; then it stands as it was.
    """
    gone = folder.parent / f".{folder.name}.gone-{secrets.token_hex(4)}"
    try:
        disk().rename(folder, gone)
    except FileNotFoundError:
        return
    remove_tree(gone)


def sweep(folder: Path) -> None:
    """Clear up what processes that were killed left, in a folder and those below it.

    What was half written goes. A folder whose successor did not get to its place is put back.
    Nothing else may be writing there.
    """
    for path in [path for path in folder.rglob(".*") if LEFT_OVER.fullmatch(path.name)]:
        if not path.is_dir():
            with suppress(OSError):
                disk().remove(path)
        elif not _put_back(path):
            remove_tree(path)


def _put_back(path: Path) -> bool:
    """Whether a folder was moved away for another one that never came, and is back."""
    name, _, mark = path.name[1:].rpartition(".")
    target = path.parent / name
    if not mark.startswith("old-") or target.exists():
        return False
    try:
        verify(path)
        disk().rename(path, target)
        disk().sync_folder(target.parent)
    except (DamagedError, OSError):
        return False
    return True


def write_file(path: Path, content: str) -> None:
    """Replace one file by a new one, complete or not at all."""
    size = len(content.encode())
    try:
        make_folders(path.parent)
    except OSError as error:
        raise cannot_write(path, error, size) from error
    with replacing(path, size) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, needed: int = 0) -> Iterator[IO[str]]:
    """A text file that takes a path's place when the block ends well. needed: bytes, where known.

    Raises WriteError naming the path when it cannot be written, UsageError when it cannot be.
    """
    neighbour = _neighbour(path)
    raw = None
    try:
        with _writing():
            raw = _Raw(disk().create(neighbour))
        with TextIOWrapper(BufferedWriter(raw), encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            raw.sync()
        with _writing():
            disk().replace(neighbour, path)
            disk().sync_folder(path.parent)
    except _UnwrittenError as failed:
        _remove_file(neighbour)
        needed = max(needed, raw.size if raw else 0)
        raise cannot_write(path, failed.error, needed) from failed.error
    finally:
        _remove_file(neighbour)


class _Raw(RawIOBase):
    """Where a text goes to the disk; it tells the disk's errors from others."""

    def __init__(self, file: DiskFile) -> None:
        super().__init__()
        self._file = file
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.size += memoryview(data).nbytes
        with _writing():
            return self._file.write(data)

    def sync(self) -> None:
        with _writing():
            self._file.sync()

    def close(self) -> None:
        self._file.close()
        super().close()


def _neighbour(path: Path) -> Path:
    return path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"


def _remove_file(path: Path) -> None:
    if path.exists():
        with suppress(OSError):
            disk().remove(path)


def _sync_all(folder: Path) -> None:
    """Sync the entries of a folder and of those in it."""
    for path in folder.rglob("*"):
        if path.is_dir():
            disk().sync_folder(path)
    disk().sync_folder(folder)


def _put(neighbour: Path, target: Path) -> None:
    """Put a folder where none stands; where one does, it stays."""
    try:
        disk().rename(neighbour, target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    else:
        _sync_or_back(neighbour, target)


def _swap(neighbour: Path, target: Path) -> None:
    """Put a folder in the target's place; the last of several processes that do so has it."""
    old = target.parent / f".{target.name}.old-{secrets.token_hex(4)}"
    while not _swapped(neighbour, target, old):
        remove_tree(old)
    _sync_or_back(neighbour, target, old)
    remove_tree(old)


def _swapped(neighbour: Path, target: Path, old: Path) -> bool:
    """Whether it went through: False where another process put its own folder there meanwhile."""
    with suppress(FileNotFoundError):
        disk().rename(target, old)
    try:
        disk().rename(neighbour, target)
    except OSError as error:
        # By its number too: a third process may have moved the other's folder away since.
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY) or target.exists():
            return False
        if old.exists():
            disk().rename(old, target)
        raise
    return True


def _sync_or_back(neighbour: Path, target: Path, old: Path | None = None) -> None:
    """Sync the new entry; where that fails, all is to be as it was."""
    try:
        disk().sync_folder(target.parent)
    except OSError:
        with suppress(OSError):
            disk().rename(target, neighbour)
            if old is not None and old.exists():
                disk().rename(old, target)
        raise
