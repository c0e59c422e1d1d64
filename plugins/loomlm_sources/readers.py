"""Rows of a file, each form its own reader: (line, values by column), or what is wrong with it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from attrs import frozen

from loomlm.plugin import DataError, UsageError, nearest
from loomlm_sources.documents import documents
from loomlm_sources.opening import UNDECODABLE, decoded_lines, opened

Row = tuple[int, Mapping[str, Any]]
Fields = tuple[int, list[str]]


@frozen
class BadLine:
    """A line that cannot be read, and why; `fix` is the next step, `lines` how many are lost."""

    line: int
    reason: str
    fix: str = ""
    lines: int = 1


@frozen(kw_only=True)
class Form:
    """How the files of a split are written."""

    format: str
    encoding: str
    delimiter: str | None
    quoting: bool | str
    header: bool
    columns: tuple[str, ...]
    wanted: tuple[str, ...]
    documents: str = "line"


def read_rows(path: Path, form: Form) -> Iterator[Row | BadLine]:
    """The rows of a file."""
    readers = {"txt": _txt, "csv": _csv, "tsv": _csv, "jsonl": _jsonl, "parquet": _parquet}
    return readers[form.format](path, form)


def not_text(line: int, encoding: str) -> BadLine:
    """A line with bytes that are not of the encoding."""
    return BadLine(line, f"bytes that are not {encoding.upper()}", 'Set encoding = "latin-1" or so')


def _txt(path: Path, form: Form) -> Iterator[Row | BadLine]:
    with opened(path) as file:
        for found in documents(_readable(file, form.encoding), form.documents):
            yield found if isinstance(found, BadLine) else (found[0], {"text": found[1]})


def _readable(file: IO[bytes], encoding: str) -> Iterator[tuple[int, str] | BadLine]:
    for number, line in decoded_lines(file, encoding):
        yield not_text(number, encoding) if UNDECODABLE in line else (number, line)


def _jsonl(path: Path, form: Form) -> Iterator[Row | BadLine]:
    with opened(path) as file:
        for line in _readable(file, form.encoding):
            if isinstance(line, BadLine):
                yield line
            elif line[1].strip():
                yield _json_row(*line)


def _json_row(number: int, line: str) -> Row | BadLine:
    fix = "Put one JSON object on each line"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadLine(number, f"not JSON: {getattr(error, 'msg', error)}", fix)
    if isinstance(row, dict):
        return number, row
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return BadLine(number, f"a JSON {names.get(type(row), 'number')}, not an object", fix)


def _csv(path: Path, form: Form) -> Iterator[Row | BadLine]:
    with opened(path) as file:
        rows = _fields(file, form)
        names: Sequence[str] = form.columns
        if form.header:
            line, names = _header(rows, path)
            hint = (
                " If the file has no header, set data.header = false and data.columns; if only "
                "the test file has none, data.header = { test = false }."
            )
            _check_columns(names, form.wanted, f"{path}:{line}", hint)
        for row in rows:
            if isinstance(row, BadLine):
                yield row
            elif len(row[1]) != len(names):
                fix = "Check the delimiter, and quotes around fields that hold it"
                yield BadLine(row[0], f"{_counted(len(row[1]), 'field')}, not {len(names)}", fix)
            else:
                yield row[0], dict(zip(names, row[1], strict=True))


def column_names(path: Path, form: Form) -> tuple[str, ...]:
    """The header of a csv or tsv file."""
    with opened(path) as file:
        return tuple(_header(_fields(file, form), path)[1])


def _header(rows: Iterator[Fields | BadLine], path: Path) -> Fields:
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} is empty. Take it out, or check that it is whole.")
    if isinstance(first, BadLine):
        raise DataError(f"{path}:{first.line}: {first.reason}. {first.fix}.")
    return first


def _fields(file: IO[bytes], form: Form) -> Iterator[Fields | BadLine]:
    """The fields of each row with the line that it starts in; blank lines are left out."""
    lines = decoded_lines(file, form.encoding)
    delimiter = form.delimiter or ("\t" if form.format == "tsv" else ",")
    quoting = form.format == "csv" if form.quoting == "auto" else form.quoting
    if quoting:
        yield from _quoted_fields(_Lines(lines), delimiter, form)
        return
    # Not csv.QUOTE_NONE, which refuses a carriage return within a field.
    for number, line in lines:
        content = line.rstrip("\r\n")
        if UNDECODABLE in line:
            yield not_text(number, form.encoding)
        elif content:
            yield number, content.split(delimiter)


# Stands for a carriage return within a line while csv.reader, which would refuse it, has the line;
# csv.writer leaves it out of quotes where lines end with a line feed alone.
CARRIAGE_RETURN = "\udc0d"


class _Lines:
    """Lines for the csv reader; keeps where a row starts, and the first that is not text."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.next_row()

    def next_row(self) -> None:
        self.start = self.number = self.undecodable = 0
        self.carriage_return = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        self.start = self.start or self.number
        if UNDECODABLE in line:
            self.undecodable = self.undecodable or self.number
        content = line.rstrip("\r\n") if "\r" in line else ""
        if "\r" in content:
            self.carriage_return = True
            line = content.replace("\r", CARRIAGE_RETURN) + line[len(content) :]
        return line


def _quoted_fields(lines: _Lines, delimiter: str, form: Form) -> Iterator[Fields | BadLine]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.next_row()
        try:
            values = next(rows, None)
        except csv.Error as error:
            yield _not_csv(lines, str(error), form)
            continue
        if values is None:
            return
        if lines.undecodable:
            bad = not_text(lines.undecodable, form.encoding)
            yield BadLine(bad.line, bad.reason, bad.fix, lines.number - lines.start + 1)
        elif lines.carriage_return:
            yield lines.start, [value.replace(CARRIAGE_RETURN, "\r") for value in values]
        elif values:
            yield lines.start, values


def _not_csv(lines: _Lines, message: str, form: Form) -> BadLine:
    known = {
        "unexpected end of data": "a quote is opened and never closed",
        "expected after": "a closing quote with more behind it",
    }
    reason = next((ours for theirs, ours in known.items() if theirs in message), message)
    fix = "If quotes are part of the text, set quoting = false"
    return BadLine(lines.start, f"not {form.format}: {reason}", fix, lines.number - lines.start + 1)


def _check_columns(names: Sequence[str], wanted: Sequence[str], place: str, hint: str = "") -> None:
    for name in wanted:
        if names.count(name) > 1:
            raise DataError(f"{place}: {names.count(name)} columns are named {name!r}. Rename one.")
        if name not in names:
            near = nearest(name, names)
            raise DataError(
                f"{place}: there is no column {name!r}; the columns are: {_listed(names)}. "
                f"{f'Did you mean {near!r}? ' if near else ''}"
                f"Name it with data.text or data.label.{hint}"
            )


def _listed(names: Sequence[str]) -> str:
    """Where the header is missing, the names are whole texts."""
    shown = [name if len(name) <= 40 else f"{name[:40]}..." for name in names[:20]]
    return ", ".join([*shown, *(["..."] if len(names) > 20 else [])]) or "none"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def parquet_columns(path: Path) -> tuple[str, ...]:
    """The column names of a parquet file."""
    with _parquet_file(path) as file:
        return tuple(file.schema_arrow.names)


def _parquet(path: Path, form: Form) -> Iterator[Row | BadLine]:
    with _parquet_file(path) as file:
        _check_columns(file.schema_arrow.names, form.wanted, str(path))
        number = 0
        for batch in file.iter_batches(columns=list(dict.fromkeys(form.wanted))):
            for row in batch.to_pylist():
                number += 1
                yield number, row


@contextmanager
def _parquet_file(path: Path) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            f'{path} is a parquet file, which needs pyarrow: pip install "loomlm[parquet]"'
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as parquet: {str(error).rstrip('.')}. Check that it is whole, "
            "and that data.format is right."
        ) from None
