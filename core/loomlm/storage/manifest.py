"""What a committed folder says of itself: its files with sizes and SHA-256, and its own digest.

So a damaged, a lacking or a foreign file is found, and named, before any is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loomlm.errors import LoomlmError

MANIFEST = "manifest.json"
LARGEST = 1 << 26
"""Bytes of a manifest. One with more is none of ours, and is not read."""


class DamagedError(LoomlmError):
    """A committed folder is not as it was written."""


def verify(folder: Path, whole: frozenset[str] = frozenset()) -> None:
    """Raise DamagedError, naming the file, unless a folder is as it was committed.

    whole: names of files whose contents are known to be, and are not read.
    """
    records = _read_manifest(folder)
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    } - {MANIFEST}
    if extra := sorted(present - records.keys()):
        raise DamagedError(f"{folder / extra[0]} does not belong there: the manifest lacks it.")
    for name, record in records.items():
        path = folder / name
        if name not in present:
            raise DamagedError(f"{path} is missing.")
        if path.is_symlink() or not path.is_file():
            raise DamagedError(f"{path} is no file any more, as which it was written.")
        size = path.stat().st_size
        if size != record["size"]:
            raise DamagedError(f"{path} has {size} bytes; {record['size']} were written.")
        if name not in whole and _digest_of(path) != record["sha256"]:
            raise DamagedError(f"{path} has changed since it was written.")


def _digest_of(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:  # Where a disk fails, it says so when it is read.
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}.") from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_of(records: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The manifest of files by name, each with `size` and `sha256`."""
    body = {"files": dict(sorted(records.items()))}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, "digest": digest}, indent=1) + "\n").encode()


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    unreadable = DamagedError(f"{path} is missing or cannot be read.")
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            raise unreadable
        content = path.read_bytes()
        files = json.loads(content)["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise unreadable from None
    if not _is_list(files):
        raise unreadable
    # To the byte, though JSON would let a space come or go.
    if manifest_of(files) != content:
        raise DamagedError(f"{path} has changed since it was written.")
    return files


def _is_list(files: Any) -> bool:
    """Whether files are listed as a manifest does: anybody can write a digest that fits."""
    return isinstance(files, dict) and all(
        isinstance(record, dict)
        and isinstance(record.get("size"), int)
        and isinstance(record.get("sha256"), str)
        for record in files.values()
    )
