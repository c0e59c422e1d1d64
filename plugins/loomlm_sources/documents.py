"""Texts from the lines of a txt file: a line, a paragraph or the whole file is one.

What comes among the lines and is none, such as a note of a line that cannot be read, is passed on
at once, and the text that it was in goes on without it.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from loomlm_sources.lines import BadLine, Line, overlong, too_long

MANY = 1 << 12


def documents(lines: Iterator[Line | BadLine], unit: str, longest: int) -> Iterator[Line | BadLine]:
    """Each text with the number of its first line; blank ones are left out.

    unit: "line", "paragraph" or "file". Within a text each line ends with a line feed alone. A
    line and a paragraph have none at their end; a file is all that is in it. longest: bytes; a
    text with more is a BadLine.
    """
    if unit == "line":
        return _lines(lines)
    return _paragraphs(lines, longest) if unit == "paragraph" else _file(lines, longest)


def _lines(lines: Iterator[Line | BadLine]) -> Iterator[Line | BadLine]:
    for line in lines:
        if isinstance(line, BadLine):
            yield line
        elif not line[1].isspace():
            yield line[0], line[1].rstrip("\r\n")


def _paragraphs(lines: Iterator[Line | BadLine], longest: int) -> Iterator[Line | BadLine]:
    held = _Held("paragraph", longest)
    for line in lines:
        if isinstance(line, BadLine):
            yield line
        elif not line[1].isspace():
            held.add(line)
        elif held.count:
            yield held.taken()
    if held.count:
        yield held.taken()


def _file(lines: Iterator[Line | BadLine], longest: int) -> Iterator[Line | BadLine]:
    held = _Held("file", longest, first=1)
    for line in lines:
        if isinstance(line, BadLine):
            yield line
        else:
            held.add(line)
    text = held.taken()
    if isinstance(text, BadLine) or text[1].strip():
        yield text


@define
class _Held:
    """The lines of a text, as long as they are not too many bytes."""

    what: str
    longest: int
    first: int = 0
    count: int = 0
    size: int = 0
    parts: list[str] = field(factory=list)
    # A list of many short lines would take many times their bytes.
    blocks: list[str] = field(factory=list)

    def add(self, line: Line) -> None:
        number, content = line
        if not self.first:
            self.first = number
        self.count += 1
        self.size += len(content)
        if self.size > self.longest:
            self.parts, self.blocks = [], []
            return
        self.parts.append(_with_line_feed(content) if "\r" in content else content)
        if len(self.parts) == MANY:
            self.blocks.append("".join(self.parts))
            self.parts.clear()

    def taken(self) -> Line | BadLine:
        text = "".join([*self.blocks, *self.parts] if self.blocks else self.parts)
        if self.what == "paragraph":
            text = text.rstrip("\r\n")
        found: Line | BadLine = (self.first or 1, text)
        if self.size > self.longest or too_long(text, self.longest):
            found = overlong(self.first, self.what, self.longest, self.count)
        self.first = self.count = self.size = 0
        self.parts = []
        self.blocks = self.blocks and []
        return found


def _with_line_feed(line: str) -> str:
    return line[:-2].rstrip("\r") + "\n" if line.endswith("\r\n") else line
