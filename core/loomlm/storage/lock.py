"""One writer at a time in a run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loomlm.errors import UsageError
from loomlm.storage.commit import write_file
from loomlm.storage.disk import cannot_write, disk

LOCKS = (".lock", ".owner")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the operating system releases it when the process ends, however.

    Raises UsageError, naming the process, when another holds it.
    """
    from filelock import FileLock, Timeout

    owner = folder / LOCKS[1]
    lock = FileLock(folder / LOCKS[0], timeout=0)
    try:
        lock.acquire()
    except Timeout:
        process = owner.read_text() if owner.exists() else "unknown"
        raise UsageError(
            f"{folder} is being written by another process (pid {process}). "
            "Wait for it, or give this run another name."
        ) from None
    except OSError as error:
        raise cannot_write(folder, error, named="--runs") from None
    try:
        write_file(owner, str(os.getpid()))
        yield
    finally:
        with suppress(OSError):
            disk().remove(owner)
        lock.release()
