"""Secrets that a config must not hold: a run keeps a copy of it, and so does whoever gets that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from loomlm.config.structure import Mistake

_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")


def secrets_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Mistake]:
    """The keys whose values have a password in an address; the message does not show it."""
    if isinstance(value, str) and _PASSWORD.search(value):
        yield Mistake(
            path,
            "an address with a password in it, and a run keeps its config. Take the password out; "
            "libraries that fetch data take it from the environment or a file of their own",
        )
    items = value.items() if isinstance(value, Mapping) else ()
    for name, inner in enumerate(value) if isinstance(value, list) else items:
        yield from secrets_in(inner, (*path, name))
