"""Which folders of a cache running processes hold, so that none is removed under them.

Each process has a file in `.held` with the names that it has asked for, beside a lock that the
operating system frees when the process ends, however.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from weakref import finalize

from loomlm.storage.disk import disk, make_folders

HELD = ".held"
LOCK = ".lock"


class _Hold:
    """What one process holds in one cache. To be made under the cache's lock."""

    def __init__(self, cache: Path) -> None:
        from filelock import FileLock

        folder = cache / HELD
        make_folders(folder)
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        lock = FileLock(folder / f"{name}.lock", timeout=0, thread_local=False)
        lock.acquire()
        self._names = folder / f"{name}.names"
        finalize(self, _let_go, lock, self._names)

    def add(self, name: str) -> None:
        with disk().append(self._names) as file:
            file.write(f"{name}\n".encode())


def _let_go(lock: object, names: Path) -> None:
    for path in (names, names.with_suffix(".lock")):
        with suppress(OSError):
            disk().remove(path)
    with suppress(OSError):
        lock.release()  # type: ignore[attr-defined] - filelock is imported on use


@lru_cache(maxsize=1)
def _own(cache: Path, process: int) -> _Hold:
    """This process's hold. A forked process has one of its own; another cache lets the last go."""
    return _Hold(cache)


@contextmanager
def cache_locked(cache: Path) -> Iterator[None]:
    """What asks for a folder of the cache and what removes one take turns."""
    from filelock import FileLock

    with FileLock(cache / LOCK):
        yield


def hold(cache: Path, name: str) -> None:
    """Say that this process uses a folder of the cache, or makes it, until it ends.

    Where a cache can only be read, nobody removes anything either.
    """
    with suppress(OSError), cache_locked(cache):
        _own(cache, os.getpid()).add(name)


def held(cache: Path, besides: int | None = None) -> set[str]:
    """The names that running processes hold, besides one. To be asked under the cache's lock.

    What processes that were killed have left is removed.
    """
    from filelock import FileLock, Timeout

    names: set[str] = set()
    for path in (cache / HELD).glob("*.lock"):
        if path.name.startswith(f"{besides}-"):
            continue
        listed = path.with_suffix(".names")
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            if listed.exists():
                names.update(listed.read_text(encoding="utf-8").splitlines())
        else:
            _let_go(lock, listed)
    return names
