"""Text files whose labels stand in files of their own, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    texts: Sequence[Path], labels: Sequence[Path], encoding: str, longest: int
) -> Iterator[tuple[Path, Row | BadLine]]:
    """Rows with `text` and `label`, from lines of the same number; both may be blank.

    longest: most bytes of a line. Raises DataError where one side has ended and the other has not.
    """
    both = zip_longest(_lines(texts, encoding, longest), _lines(labels, encoding, longest))
    for text, label in both:
        if text is None or label is None:
            _check_ends(text, label)
            continue
        for line in (text, label):
            if line.bad is not None:
                yield line.path, line.bad
                break
        else:
            if text.content.strip() or label.content.strip():
                yield text.path, _row(text, label)


def _row(text: _Line, label: _Line) -> Row | BadLine:
    # Were blank lines skipped on one side alone, every later text would get its neighbour's label.
    if not text.content.strip():
        return BadLine(text.number, f"a blank line, with a label in {label.place}")
    if not label.content.strip():
        return BadLine(text.number, f"a text without a label, {label.place} is blank")
    return text.number, {"text": text.content, "label": label.content}


def _check_ends(text: _Line | None, label: _Line | None) -> None:
    rule = "Each line of the text needs one label, and no more."
    if text is not None and text.content.strip():
        raise DataError(f"{text.place}: the labels have ended before the text. {rule}")
    if label is not None and label.content.strip():
        raise DataError(f"{label.place}: the text has ended before the labels. {rule}")


def _lines(paths: Sequence[Path], encoding: str, longest: int) -> Iterator[_Line]:
    for path in paths:
        for line in read_lines(path, encoding, longest):
            if isinstance(line, BadLine):
                yield _Line(path, line.line, line.reason, line)
            else:
                yield _Line(path, line[0], line[1].rstrip("\r\n"))
