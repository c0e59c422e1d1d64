"""What was found whole is not read again as long as nobody has written to it.

To read a large store only to see that it is as it was would take longer than to begin with it. So a
folder that was verified gets a seal beside it: of each file the size, the number of its inode and
the times of its last changes, as the file system notes them. Where all of that is the same, its
contents are taken to be. A seal holds for a week: what a disk does to a file without a write is in
no inode, and is found then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from loomlm.errors import UsageError
from loomlm.storage.commit import write_file
from loomlm.storage.disk import WriteError, disk
from loomlm.storage.foreign import read_json
from loomlm.storage.manifest import MANIFEST, file_digest, verify

Form = dict[str, int]
"""What the file system says of a file."""

LARGE = 1 << 24
"""Bytes of a folder from which a seal is worth its while: reading less takes milliseconds."""

LASTS = 7 * 86400
"""Seconds that a seal holds."""

TICK = 20_000_000
"""Nanoseconds that a file system's clock may stand still: what is written within them has the
same time."""

COARSE = 2_000_000_000
"""The same for one that counts in seconds."""


def verify_sealed(folder: Path) -> None:
    """Raise DamagedError, naming the file, unless a folder is as it was committed.

    The set of its files, their sizes and the manifest are compared each time; contents where the
    seal does not vouch for them.
    """
    forms = _forms(folder)
    sealed = _sealed(folder, forms)
    if sealed == forms.keys() or not _is_large(forms):
        verify(folder, sealed)
        return
    # What is written while the contents are read must have another time than they had before.
    time.sleep(TICK / 1e9)
    forms = _forms(folder)
    verify(folder, sealed)
    _write(folder, forms)


def seal(folder: Path) -> None:
    """Note that a folder that was just written is whole, where it is large."""
    if _is_large(_forms(folder)):
        time.sleep(TICK / 1e9)
        _write(folder, _forms(folder))


def unseal(folder: Path) -> None:
    """Take the seal of a folder away, which goes itself."""
    with suppress(OSError):
        disk().remove(_place(folder))


def _is_large(forms: Mapping[str, Form]) -> bool:
    return sum(form["size"] for form in forms.values()) >= LARGE


def _write(folder: Path, forms: Mapping[str, Form]) -> None:
    said = {"manifest": file_digest(folder / MANIFEST), "files": forms}
    # In a cache that is only read, or full, the contents are read each time.
    with suppress(UsageError, WriteError):
        write_file(_place(folder), json.dumps(said) + "\n")


def _sealed(folder: Path, forms: Mapping[str, Form]) -> frozenset[str]:
    """The files that are as they were when the folder was sealed."""
    path = _place(folder)
    try:
        status = path.stat()
        said = read_json(path)
        known = said["files"] if said["manifest"] == file_digest(folder / MANIFEST) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
    if not 0 <= time.time() - status.st_mtime <= LASTS:
        return frozenset()
    return frozenset(
        name
        for name, form in forms.items()
        if known.get(name) == form and _is_older(form, status.st_mtime_ns)
    )


def _is_older(form: Form, sealed: int) -> bool:
    """Whether a file was written so long before the seal that a later write has another time."""
    last = max(form["modified"], form["changed"])
    tick = COARSE if form["modified"] % 1_000_000_000 == 0 else TICK // 2
    return last + tick <= sealed


def _forms(folder: Path) -> dict[str, Form]:
    """What the file system says of each file but the manifest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = {
                "size": status.st_size,
                "modified": status.st_mtime_ns,
                "changed": status.st_ctime_ns,
                "inode": status.st_ino,
            }
    return found


def _place(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.seal.json"
