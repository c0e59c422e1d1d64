"""One writer at a time in a run's folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loomlm.errors import UsageError
from loomlm.storage.commit import write_file
from loomlm.storage.disk import cannot_write, disk

if TYPE_CHECKING:
    from filelock import FileLock

LOCKS = (".lock", ".owner")

PATIENCE = 1.0
"""Seconds that a lock is tried for, and that its owner has to say who it is."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the operating system releases it when the process ends, however.

    Raises UsageError, naming the process, when another holds it.
    """
    owner = folder / LOCKS[1]
    lock = _acquired(folder)
    try:
        write_file(owner, json.dumps(_ourselves()))
        yield
    finally:
        try:
            # While it is still ours: afterwards the name could be that of the next one.
            with suppress(OSError):
                disk().remove(owner)
        finally:
            lock.release()


def refuse_locked(folder: Path) -> None:
    """Raise UsageError where another process writes in a folder, before time is spent on it.

    The owner's note alone is no proof: a process that was killed has left its own.
    """
    if (folder / LOCKS[1]).exists():
        _acquired(folder).release()


def _acquired(folder: Path) -> FileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCKS[0], timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise _held(folder) from None
    except OSError as error:
        raise cannot_write(folder, error, named="--runs") from None
    return lock


def _ourselves() -> dict[str, str | int]:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _held(folder: Path) -> UsageError:
    said = _owner(folder / LOCKS[1])
    who = (
        f"pid {said['pid']} on {said['host']}, since {said['since']}"
        if said
        else "it has not said which"
    )
    return UsageError(
        f"{folder} is being written by another process ({who}). Wait for it, or give this run "
        "another name: --set name=..."
    )


def _owner(path: Path) -> dict[str, str | int] | None:
    """What the owner says of itself; it may have the lock and be about to write."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return {key: said[key] for key in ("pid", "host", "since")}
        except (OSError, ValueError, KeyError, TypeError):
            if time.monotonic() > end:
                return None
            time.sleep(0.02)
