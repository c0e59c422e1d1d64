"""Texts and places of data on a terminal: anything may stand in them."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from pathlib import Path
from typing import Any

import click

HIDDEN = ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
"""Categories of characters that a terminal obeys, hides or cannot show."""


def safe(text: str) -> str:
    """A text in one line; what cannot be seen or would steer the terminal as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(one) if unicodedata.category(one) in HIDDEN else one for one in text)


def _escaped(character: str) -> str:
    return {"\n": "⏎", "\t": "⇥"}.get(character) or repr(character)[1:-1].replace("\\\\", "\\")


def fitting(text: str, width: int) -> str:
    """The text in so many columns; wide characters take two."""
    from rich.cells import cell_len, set_cell_size

    shown = safe(text)
    return shown if cell_len(shown) <= width else f"{set_cell_size(shown, width - 3).rstrip()}..."


def place(text: str, width: int | None = None) -> str:
    """A place, from the working folder where it is below that; its end is what matters."""
    from rich.cells import cell_len

    shown = safe(text.replace(f"{Path.cwd()}{os.sep}", ""))
    if width is None or cell_len(shown) <= width:
        return shown
    while cell_len(shown) > width - 3:
        shown = shown[1:]
    return f"...{shown}"


def say(message: str) -> None:
    """What goes on, to standard error."""
    click.echo(message, err=True)


def many(count: int, what: str) -> str:
    """A count of things."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def columns() -> int | None:
    """Those of the terminal; None where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def number(value: Any) -> str:
    """A number with its thousands, or with two decimals, or nothing."""
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else f"{value:,}"
