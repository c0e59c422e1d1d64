"""On which line of a TOML file each key stands; tomllib parses, statement by statement."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]

CLOSES = re.compile(r"""[\]}]|\"{3}|'{3}""")
"""What the last line of a value that goes over several holds; spares parsing the others."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of each key of a valid TOML document, counted from 1.

    A key inside an inline table has the line on which its statement starts. An element of an
    array of tables stands under its index.
    """
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _header(parsed, counts)
            lines.setdefault(table, number)
        else:
            for path in _paths(parsed):
                lines.setdefault(table + path, number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header or `key = value`, with the line on which it starts."""
    pending: list[str] = []
    start = 0
    # Not splitlines(): to TOML only a line feed ends a line, and texts may hold other ends.
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1):
        if not pending:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            start = number
        pending.append(line)
        if len(pending) > 1 and not CLOSES.search(line):
            continue
        statement = "".join(pending)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # A value that goes on in the next line.
        yield start, statement
        pending = []


def _header(parsed: Mapping[str, Any], counts: dict[KeyPath, int]) -> KeyPath:
    """The path of `[a.b]` or `[[a.b]]`, with the index of the newest element of each array."""
    path: KeyPath = ()
    value: Any = parsed
    while isinstance(value, Mapping) and value:
        name, value = next(iter(value.items()))
        path += (name,)
        if isinstance(value, list):
            counts[path] = counts.get(path, -1) + 1
            value = value[0]
        if path in counts:
            path += (counts[path],)
    return path


def _paths(value: Any) -> Iterator[KeyPath]:
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return
    for name, inner in items:
        yield (name,)
        for path in _paths(inner):
            yield (name, *path)
