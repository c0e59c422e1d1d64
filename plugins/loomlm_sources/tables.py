"""Rows of csv and tsv files."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from attrs import define, field

from loomlm.plugin import DataError
from loomlm_sources.forms import Form, Row, check_columns
from loomlm_sources.lines import BadLine, Line, read_lines

Fields = tuple[int, list[str]]

# Stands for a carriage return within a line while csv.reader, which would refuse it, has the line;
# csv.writer leaves it out of quotes where lines end with a line feed alone.
CARRIAGE_RETURN = "\udc0d"
MOST_LINES = 1 << 17
"""Lines of one row: a quote that is open for more is taken for a mistake. A long novel has half."""

DELIMITERS = (",", ";", "\t", "|")


def read_table(path: Path, form: Form, skip: int = 0) -> Iterator[Row | BadLine]:
    """The rows behind the header, without the first `skip`.

    Raises DataError where the header lacks a column that is wanted.
    """
    rows = _fields(path, form)
    names: Sequence[str] = form.columns
    if form.header:
        line, names = _header(rows, path)
        _check_header(names, form, f"{path}:{line}")
    for row in islice(rows, skip, None):
        if isinstance(row, BadLine):
            yield row
        elif len(row[1]) != len(names):
            yield _ragged(row, len(names), form)
        else:
            yield row[0], dict(zip(names, row[1], strict=True))


def column_names(path: Path, form: Form) -> tuple[str, ...]:
    """The header of a csv or tsv file."""
    return tuple(_header(_fields(path, form), path)[1])


def _header(rows: Iterator[Fields | BadLine], path: Path) -> Fields:
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} is empty. Take it out, or check that it is whole.")
    if isinstance(first, BadLine):
        raise DataError(f"{path}:{first.line}: {first.reason}. {first.fix}.")
    return first


def _check_header(names: Sequence[str], form: Form, place: str) -> None:
    hint = (
        "If the file has no header, set data.header = false and data.columns; if only the test "
        "file has none, data.header = { test = false }."
    )
    other = _other_delimiter(names, form, lambda parts: set(form.wanted) <= set(parts))
    if other:
        hint = f"The fields seem to be parted by {other!r}: set data.delimiter = {as_toml(other)}."
    check_columns(names, form.wanted, place, hint)


def _ragged(row: Fields, count: int, form: Form) -> BadLine:
    found = len(row[1])
    fix = "Check the delimiter, and quotes around fields that hold it"
    other = _other_delimiter(row[1], form, lambda parts: len(parts) == count)
    if other:
        fix = f"It has {count:,} parted by {other!r}: check the delimiter"
    noun = "field" if found == 1 else "fields"
    return BadLine(row[0], f"{found:,} {noun}, not {count:,}", fix)


def _other_delimiter(
    fields: Sequence[str], form: Form, fits: Callable[[Sequence[str]], bool]
) -> str:
    """Another delimiter, by which a row of one field would fit; "" without one."""
    if len(fields) != 1:
        return ""
    others = (one for one in DELIMITERS if one != delimiter_of(form))
    parted = ((one, [part.strip('"') for part in fields[0].split(one)]) for one in others)
    return next((one for one, parts in parted if len(parts) > 1 and fits(parts)), "")


def as_toml(delimiter: str) -> str:
    """A delimiter as a config writes it."""
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'


def delimiter_of(form: Form) -> str:
    """What stands between fields."""
    return form.delimiter or ("\t" if form.format == "tsv" else ",")


def _fields(path: Path, form: Form) -> Iterator[Fields | BadLine]:
    """The fields of each row with the line that it starts in; blank lines are left out."""
    lines = read_lines(path, form.encoding, form.longest)
    quoting = form.format == "csv" if form.quoting == "auto" else form.quoting
    return _quoted(lines, form) if quoting else _unquoted(lines, form)


def _unquoted(lines: Iterator[Line | BadLine], form: Form) -> Iterator[Fields | BadLine]:
    # Not csv.QUOTE_NONE, which refuses a carriage return within a field.
    delimiter = delimiter_of(form)
    for line in lines:
        if isinstance(line, BadLine):
            yield line
        elif content := line[1].rstrip("\r\n"):
            yield line[0], content.split(delimiter)


class _TooMuch(Exception):  # noqa: N818 - told to nobody
    """A line without content, or a row of too many lines, has come to the csv reader."""

    def __init__(self, bad: BadLine | None = None) -> None:
        self.bad = bad


@define
class _Held:
    """The lines of the row that the csv reader is at, and those to read again."""

    lines: Iterator[Line | BadLine]
    longest: int
    row: list[Line | BadLine] = field(factory=list)
    size: int = 0
    again: deque[Line | BadLine] = field(factory=deque)
    bad: BadLine | None = None
    carriage_return: bool = False

    def feed(self) -> Iterator[str]:
        """The lines for the csv reader."""
        row = self.row
        for line in self._all():
            row.append(line)
            if isinstance(line, BadLine):
                content = line.content
                if content is None:
                    raise _TooMuch(line)
                self.bad = self.bad or line
            else:
                content = line[1]
            self.size += len(content)
            if len(row) > 1 and (self.size > self.longest or len(row) > MOST_LINES):
                raise _TooMuch
            yield self._without_carriage_return(content) if "\r" in content else content

    def _all(self) -> Iterator[Line | BadLine]:
        while self.again:
            yield self.again.popleft()
        for line in self.lines:  # noqa: UP028 - where the csv reader stops, the lines go on
            yield line

    def _without_carriage_return(self, line: str) -> str:
        content = line.rstrip("\r\n")
        if "\r" in content:
            self.carriage_return = True
        return content.replace("\r", CARRIAGE_RETURN) + line[len(content) :]

    @property
    def start(self) -> int:
        """The number of the row's first line."""
        first = self.row[0]
        return first.line if isinstance(first, BadLine) else first[0]

    def read_again(self) -> None:
        """The row's lines but the first come again."""
        self.again.extendleft(reversed(self.row[1:]))
        del self.row[1:]

    def next_row(self) -> None:
        self.row.clear()
        self.size, self.bad, self.carriage_return = 0, None, False


def _quoted(lines: Iterator[Line | BadLine], form: Form) -> Iterator[Fields | BadLine]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    held = _Held(lines, form.longest)
    columns = len(form.columns)
    ended = False
    while not ended:
        rows = csv.reader(held.feed(), delimiter=delimiter_of(form), strict=True)
        try:
            for values in rows:
                if held.bad is not None:
                    yield _bad_row(held)
                elif held.carriage_return:
                    yield held.start, [value.replace(CARRIAGE_RETURN, "\r") for value in values]
                elif values:
                    yield held.start, values
                columns = columns or len(values)
                held.next_row()
            ended = True
        except (csv.Error, _TooMuch) as error:
            yield _broken(held, error, form, columns > 1)
            held.next_row()


def _bad_row(held: _Held) -> BadLine:
    bad = held.bad
    assert bad is not None
    return BadLine(bad.line, bad.reason, bad.fix, len(held.row))


def _broken(held: _Held, error: Exception, form: Form, tells_rows: bool) -> BadLine:
    """What is wrong with the row that the csv reader has stopped in.

    tells_rows: whether rows have several fields, which tells them from the inside of a text, so
    that what stands behind a quote that is never closed can be read as rows of its own.
    """
    bad = error.bad if isinstance(error, _TooMuch) else None
    fix = "If quotes are part of the text, set quoting = false"
    if bad is not None and len(held.row) == 1:
        return bad
    if bad is not None:
        reason = f"a quote is opened, and line {bad.line:,} has {bad.reason}"
    elif isinstance(error, _TooMuch):
        lines = len(held.row) - 1
        reason = f"a quote is opened and not closed in the {lines:,} lines from here"
        if held.size > held.longest:
            fix += "; if the text is as long as that, raise data.longest_line"
    else:
        known = {
            "unexpected end of data": "a quote is opened and never closed",
            "expected after": "a closing quote with more behind it",
        }
        message = str(error)
        reason = next((ours for theirs, ours in known.items() if theirs in message), message)
    start, lost = held.start, len(held.row)
    if tells_rows and lost > 1:
        held.read_again()
        lost = 1
    return BadLine(start, f"not {form.format}: {reason}", fix, lost)
