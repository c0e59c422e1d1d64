"""The one object through which the core writes, so that a test can put a failing disk there.

It does one thing to the file system at a time. What is made of that, whole folders and files that
are replaced whole, is in `commit.py`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any

from loomlm.errors import LoomlmError, UsageError

_BINARY = getattr(os, "O_BINARY", 0)
"""Windows changes line ends without it."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_PLACE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
)
"""What a path is refused for that nothing can be written to, whatever the machine does."""

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


class WriteError(LoomlmError):
    """The machine did not write what it was told to: a full disk, say. No mistake of a command."""


class DiskFile(RawIOBase):
    """A file that is open to be written to. It has no buffer: what is written is the system's."""

    def __init__(self, disk: Disk, path: Path, descriptor: int) -> None:
        super().__init__()
        self.path = path
        self._disk = disk
        self._descriptor = descriptor

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def write(self, data: Any, /) -> int:
        """Append all of the bytes, in as many calls as it takes."""
        view = memoryview(data)
        if view.nbytes:
            self._disk.write(self, view.cast("B"))
        return view.nbytes

    def sync(self) -> None:
        """Come back when a loss of power cannot take away what was written."""
        self._disk.sync(self)

    def close(self) -> None:
        """Close it; what was not synced is with the system."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class Disk:
    """The file system. Each method is one operation, and raises OSError where it fails."""

    def create(self, path: Path) -> DiskFile:
        """A new file. Fails where there is one."""
        return self._open(path, os.O_EXCL)

    def append(self, path: Path) -> DiskFile:
        """A file to add to, made where there is none; a pipe or a device too."""
        return self._open(path, os.O_APPEND)

    def write(self, file: DiskFile, data: memoryview) -> None:
        """Write all of the bytes; a call of the system may do a part."""
        while data:
            data = data[os.write(file.fileno(), data) :]

    def sync(self, file: DiskFile) -> None:
        """See to it that a file's bytes survive a loss of power."""
        os.fsync(file.fileno())

    def cut(self, path: Path, size: int) -> None:
        """Leave the first bytes of a file."""
        os.truncate(path, size)

    def sync_folder(self, folder: Path) -> None:
        """See to it that a folder's entries survive a loss of power."""
        if os.name == "nt":
            return  # Windows has no way to sync a folder.
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except PermissionError:
            return  # What may be written to but not listed cannot be synced either.
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
        finally:
            os.close(descriptor)

    def make_folder(self, path: Path) -> None:
        """A new folder in one that is there."""
        path.mkdir()

    def rename(self, path: Path, target: Path) -> None:
        """Give a file or folder another name. A folder that is not empty is not replaced."""
        path.rename(target)

    def replace(self, path: Path, target: Path) -> None:
        """Put a file in another's place."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file or a link."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    def touch(self, path: Path) -> None:
        """Note that something was used now."""
        os.utime(path)

    def free(self, path: Path) -> int:
        """The bytes that can still be written where a path is, or is to be."""
        while not path.exists() and path != path.parent:
            path = path.parent
        return shutil.disk_usage(path).free

    def _open(self, path: Path, flags: int) -> DiskFile:
        flags |= os.O_WRONLY | os.O_CREAT | _BINARY | getattr(os, "O_CLOEXEC", 0)
        return DiskFile(self, path, os.open(path, flags, 0o666))


_disks = [Disk()]


def disk() -> Disk:
    """What everything is written through."""
    return _disks[-1]


@contextmanager
def using(other: Disk) -> Iterator[None]:
    """Write through another one: for the whole process, since threads write too."""
    _disks.append(other)
    try:
        yield
    finally:
        _disks.remove(other)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that lack; a loss of power does not take them away."""
    lacking = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(lacking):
        try:
            disk().make_folder(path)
        except FileExistsError:
            if not path.is_dir():
                raise
        disk().sync_folder(path.parent)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def make_folder(folder: Path, named: str = "") -> None:
    """The same; raises what `cannot_write` says."""
    try:
        make_folders(folder)
    except OSError as error:
        raise cannot_write(folder, error, named=named) from None


def remove_tree(folder: Path, ignore_errors: bool = True) -> None:
    """Remove a folder with all in it, as far as that goes. Links in it are not followed.

    Raises OSError for what cannot be removed, unless errors are ignored.
    """
    ignored = suppress(*((OSError,) if ignore_errors else ()))
    with ignored:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path), ignore_errors)
            else:
                with ignored:
                    disk().remove(Path(entry.path))
    with ignored:
        disk().remove_folder(folder)


def cannot_write(
    path: Path, error: OSError, needed: int = 0, named: str = ""
) -> WriteError | UsageError:
    """The error for the user, in one line: what, why, what it takes, and what to do.

    A path that cannot be is a mistake of the command; all else is the machine's doing. needed:
    bytes. named: what the user names the place with, and should have named one with that may be
    written to.
    """
    reason = error.strerror or str(error)
    code = error.errno or 0
    other = f"choose another folder with {named}" if named else "choose another folder"
    if code in _FULL:
        if needed:
            free = disk().free(path)
            reason += f": at least {needed:,} bytes are needed, {free:,} are free"
        way_out = f"Free space or {other}, then go on."
    elif code in _FORBIDDEN:
        way_out = f"Have it made writable or {other}, then go on."
    elif code in _NO_PLACE:
        way_out = f"{other[0].upper()}{other[1:]}."
    else:
        way_out = f"Have the disk looked at or {other}, then go on."
    usage = code in _NO_PLACE or (bool(named) and code in _FORBIDDEN)
    kind = UsageError if usage else WriteError
    return kind(f"{path} cannot be written: {reason}. {way_out}")
