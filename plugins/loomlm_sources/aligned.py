"""Text files whose labels, or targets, stand in files of their own, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from attrs import frozen

from loomlm.plugin import DataError
from loomlm_sources.forms import Row
from loomlm_sources.lines import BadLine, read_lines


@frozen
class _Line:
    path: Path
    number: int
    content: str
    bad: BadLine | None = None

    @property
    def place(self) -> str:
        return f"{self.path}:{self.number}"


def aligned_rows(
    texts: Sequence[Path], beside: Mapping[str, Sequence[Path]], encoding: str, longest: int
) -> Iterator[tuple[Path, Row | BadLine]]:
    """Rows with `text` and what stands beside it, from lines of the same number; all may be blank.

    beside: files by what they hold, such as a `label` or a `target`. longest: most bytes of a line.
    Raises DataError where one side has ended and the other has not.
    """
    sides = [_lines(paths, encoding, longest) for paths in (texts, *beside.values())]
    for text, *found in zip_longest(*sides):
        others = [line for line in found if line is not None]
        if text is None or len(others) < len(found):
            for name, other in zip(beside, found, strict=True):
                _check_ends(text, other, name)
            continue
        lines = (text, *others)
        bad = next(((line.path, line.bad) for line in lines if line.bad is not None), None)
        if bad is not None:
            yield bad
        elif any(line.content.strip() for line in lines):
            yield text.path, _row(text, dict(zip(beside, others, strict=True)))


def _row(text: _Line, others: Mapping[str, _Line]) -> Row | BadLine:
    # Were blank lines skipped on one side alone, every later text would get its neighbour's label.
    blank = [name for name, line in others.items() if not line.content.strip()]
    if not text.content.strip():
        name, line = next((n, line) for n, line in others.items() if n not in blank)
        return BadLine(text.number, f"a blank line, with a {name} in {line.place}")
    if blank:
        place = others[blank[0]].place
        return BadLine(text.number, f"a text without a {blank[0]}, {place} is blank")
    values = {name: line.content for name, line in others.items()}
    return text.number, {"text": text.content, **values}


def _check_ends(text: _Line | None, other: _Line | None, name: str) -> None:
    rule = f"Each line of the text needs one {name}, and no more."
    if other is None and text is not None and text.content.strip():
        raise DataError(f"{text.place}: the {name}s have ended before the text. {rule}")
    if text is None and other is not None and other.content.strip():
        raise DataError(f"{other.place}: the text has ended before the {name}s. {rule}")


def _lines(paths: Sequence[Path], encoding: str, longest: int) -> Iterator[_Line]:
    for path in paths:
        for line in read_lines(path, encoding, longest):
            if isinstance(line, BadLine):
                yield _Line(path, line.line, line.reason, line)
            else:
                yield _Line(path, line[0], line[1].rstrip("\r\n"))
