"""Texts from the lines of a txt file: a line, a paragraph or the whole file is one.

What comes among the lines and is none, such as a note of a line that cannot be read, is passed on
at once, and the text that it was in goes on without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

Line = tuple[int, str]
Other = TypeVar("Other")


def documents(lines: Iterator[Line | Other], unit: str) -> Iterator[Line | Other]:
    """Each text with the number of its first line; blank ones are left out.

    unit: "line", "paragraph" or "file". Within a text each line ends with a line feed alone. A
    line and a paragraph have none at their end; a file is all that is in it.
    """
    units = {"line": _lines, "paragraph": _paragraphs, "file": _file}
    return units[unit](lines)


def _lines(lines: Iterator[Line | Other]) -> Iterator[Line | Other]:
    for line in lines:
        if not isinstance(line, tuple):
            yield line
        elif line[1].strip():
            yield line[0], line[1].rstrip("\r\n")


def _paragraphs(lines: Iterator[Line | Other]) -> Iterator[Line | Other]:
    first, held = 0, []
    for line in chain(lines, [(0, "")]):
        if not isinstance(line, tuple):
            yield line
        elif line[1].strip():
            first = first if held else line[0]
            held.append(_with_line_feed(line[1]))
        elif held:
            yield first, "".join(held).rstrip("\r\n")
            held = []


def _file(lines: Iterator[Line | Other]) -> Iterator[Line | Other]:
    held = []
    for line in lines:
        if isinstance(line, tuple):
            held.append(_with_line_feed(line[1]))
        else:
            yield line
    text = "".join(held)
    if text.strip():
        yield 1, text


def _with_line_feed(line: str) -> str:
    return line[:-1].rstrip("\r") + "\n" if line.endswith("\n") else line
