"""How files are written, and what their rows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from loomlm.plugin import DataError, nearest

Row = tuple[int, Mapping[str, Any]]
"""The number of a row's first line, and its values by column."""


@frozen(kw_only=True)
class Form:
    """How the files of a split are written.

    wanted: the columns that are read; labels: those among them that labels come from. longest: most
    bytes of a line, and of a row of several. word, tag: the columns of conll.
    """

    format: str
    encoding: str
    delimiter: str | None
    quoting: bool | str
    header: bool
    columns: tuple[str, ...]
    wanted: tuple[str, ...]
    labels: tuple[str, ...]
    longest: int
    documents: str = "line"
    word: int = 0
    tag: int = -1


def check_columns(names: Sequence[str], wanted: Sequence[str], place: str, hint: str = "") -> None:
    """Raises DataError for a column that is not there, or there twice."""
    for name in wanted:
        if names.count(name) > 1:
            raise DataError(f"{place}: {names.count(name)} columns are named {name!r}. Rename one.")
        if name not in names:
            near = nearest(name, names)
            raise DataError(
                f"{place}: there is no column {name!r}; the columns are: {listed(names)}. "
                f"{f'Did you mean {near!r}? ' if near else ''}"
                f"Name it with data.text or data.label. {hint}".rstrip()
            )


def listed(names: Sequence[str]) -> str:
    """Names of columns; where the header is missing, those are whole texts."""
    shown = [name if len(name) <= 40 else f"{name[:40]}..." for name in names[:20]]
    return ", ".join([*shown, *(["..."] if len(names) > 20 else [])]) or "none"
