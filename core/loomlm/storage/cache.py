"""Prepared data, kept by what it was made from, and used again by every run that would make it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.storage.commit import LEFT_OVER, Staging, staging
from loomlm.storage.disk import disk, make_folder, remove_tree
from loomlm.storage.holding import cache_locked, held, hold
from loomlm.storage.manifest import MANIFEST, DamagedError
from loomlm.storage.seals import seal, unseal, verify_sealed

FORMAT = 3
"""Part of every key: grows when the form of what is kept changes."""


@frozen
class Entry:
    """A folder of the cache. made, used: when, in seconds of the epoch; used is the last time."""

    kind: str
    key: str
    folder: Path
    bytes: int
    made: float
    used: float

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.folder.name}"


@frozen
class Use:
    """What `cached` was asked for. made: whether it had to be made."""

    kind: str
    key: str
    folder: Path
    made: bool


_uses: ContextVar[list[Use] | None] = ContextVar("uses", default=None)


def cache_folder() -> Path:
    """`LOOMLM_CACHE`, or the user's cache folder."""
    from platformdirs import user_cache_path

    named = os.environ.get("LOOMLM_CACHE")
    return Path(named) if named else user_cache_path("loomlm")


def cache_key(*parts: Any) -> str:
    """A digest of JSON values: the same for the same values, in every process."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def place_of(kind: str, key: str) -> Path:
    """Where what has a key is kept: another version's code may make something else of the same."""
    return cache_folder() / kind / f"{key}-{_version()}"


@lru_cache
def _version() -> str:
    try:
        return version("loomlm")
    except PackageNotFoundError:
        return "unknown"


def cached(kind: str, key: str, make: Callable[[Staging], None]) -> Path:
    """The folder that `make` fills, made once for each key by each version of Loomlm.

    What is found is verified; what is damaged is made again. Of a large folder, contents that
    nobody has written to since they were verified are not read again (`seals.py`). Two processes
    may make the same folder at once: each makes its own, and the first to end has the place. It is
    there until this process ends: `clear` removes nothing that a running process has asked for.
    """
    cache = cache_folder()
    folder = place_of(kind, key)
    make_folder(folder.parent, named="LOOMLM_CACHE")
    hold(cache, f"{kind}/{folder.name}")
    made = not _whole(cache, folder)
    if made:
        with staging(folder, first_stays=True) as stage:
            make(stage)
        seal(folder)
    uses = _uses.get()
    if uses is not None:
        uses.append(Use(kind, key, folder, made))
    return folder


@contextmanager
def watching() -> Iterator[list[Use]]:
    """What `cached` is asked for inside the block, in order."""
    uses: list[Use] = []
    token = _uses.set(uses)
    try:
        yield uses
    finally:
        _uses.reset(token)


def entries() -> list[Entry]:
    """What the cache has, the last used first; what is half written is not there."""
    found = []
    for folder in cache_folder().glob("[!.]*/[!.]*"):
        with suppress(OSError):  # It may be removed while it is looked at.
            found.append(_entry(folder))
    return sorted(found, key=lambda entry: (-entry.used, entry.name))


def clear(chosen: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Remove entries: those that were, and those that stay since a running process holds them."""
    removed, stay = [], []
    cache = cache_folder()
    for entry in chosen:
        if _taken_away(cache, entry.folder, entry.name):
            removed.append(entry)
        elif entry.folder.exists():
            stay.append(entry)
    return removed, stay


def sweep_cache() -> int:
    """Remove what killed processes left half made: how many bytes that was."""
    cache = cache_folder()
    if not cache.exists():
        return 0
    return sum(_sweep(cache, kind) for kind in cache.glob("[!.]*") if kind.is_dir())


def _whole(cache: Path, folder: Path) -> bool:
    """Whether a folder is there as it was committed; it is marked as used then, or else removed."""
    _sweep(cache, folder.parent, folder.name)
    try:
        number = folder.stat().st_ino
    except FileNotFoundError:
        return False
    try:
        verify_sealed(folder)
    except DamagedError:
        # Another process may have mended it since: then its folder is another one.
        _taken_away(cache, folder, None, number)
        return False
    with suppress(OSError):
        disk().touch(folder)
    return True


def _entry(folder: Path) -> Entry:
    status = folder.stat()
    manifest = folder / MANIFEST
    made = manifest.stat().st_mtime if manifest.exists() else status.st_mtime
    used = max(made, status.st_mtime)
    key = folder.name.partition("-")[0]
    return Entry(folder.parent.name, key, folder, _size(folder), made, used)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _taken_away(cache: Path, folder: Path, unheld: str | None, number: int | None = None) -> bool:
    """Whether a folder was removed: out of its place first, so that nobody finds half of it.

    unheld: its name, where it has to stay if a process holds it. number: the folder's own, where
    only that one is meant.
    """
    gone = folder.parent / f".{folder.name}.gone-{secrets.token_hex(4)}"
    try:
        with cache_locked(cache):
            if unheld is not None and unheld in held(cache):
                return False
            if number is not None and folder.stat().st_ino != number:
                return False
            disk().rename(folder, gone)
    except FileNotFoundError:
        return False
    unseal(folder)
    remove_tree(gone)
    return True


def _sweep(cache: Path, kind: Path, key: str | None = None) -> int:
    """Remove what is half made, of one key or of all: its maker holds the name while it lives."""
    own = f".{os.getpid()}-"
    paths = [
        path
        for path in kind.glob(f".{key or '*'}.*")
        if LEFT_OVER.fullmatch(path.name) and own not in path.name
    ]
    if not paths:
        return 0
    with cache_locked(cache):
        names = held(cache, besides=os.getpid())
    freed = 0
    for path in paths:
        name = path.name[1:].rpartition(".")[0]
        if f"{kind.name}/{name}" in names:
            continue
        with suppress(OSError):
            freed += _size(path) if path.is_dir() else path.stat().st_size
            if path.is_dir():
                remove_tree(path)
            else:
                disk().remove(path)
    return freed
