"""Prepared data, kept by what it was made from, and used again by every run that would make it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loomlm.errors import UsageError
from loomlm.storage.commit import DamagedError, Staging, staging
from loomlm.storage.seals import seal, verify_sealed

FORMAT = 1
"""Part of every key: grows when the form of what is kept changes."""


def cache_folder() -> Path:
    """`LOOMLM_CACHE`, or the user's cache folder."""
    from platformdirs import user_cache_path

    named = os.environ.get("LOOMLM_CACHE")
    return Path(named) if named else user_cache_path("loomlm")


def cache_key(*parts: Any) -> str:
    """A digest of JSON values: the same for the same values, in every process."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached(kind: str, key: str, make: Callable[[Staging], None]) -> Path:
    """The folder that `make` fills, made once for each key.

    What is found is verified; what is damaged is made again. Of a large folder, contents that
    nobody has written to since they were verified are not read again (`seals.py`). Two processes
    may make the same folder at once: each makes its own, and the last to end takes the place.
    """
    folder = cache_folder() / kind / key
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The cache {cache_folder()} cannot be written: {error.strerror}. Name another folder "
            "with LOOMLM_CACHE."
        ) from None
    if folder.exists():
        try:
            verify_sealed(folder)
        except DamagedError:
            pass
        else:
            return folder
    with staging(folder) as stage:
        make(stage)
    seal(folder)
    return folder
