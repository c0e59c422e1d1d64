"""Rows of a file, each form its own reader: (line, values by column), or what is wrong with it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.plugin import DataError, UsageError, did_you_mean
from loomlm_sources.opening import decoded_lines, opened

Row = tuple[int, Mapping[str, Any]]


@frozen
class BadLine:
    """A line that cannot be read, and why; `fix` is the next step."""

    line: int
    reason: str
    fix: str = ""


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


def read_rows(path: Path, form: Form) -> Iterator[Row | BadLine]:
    """The rows of a file."""
    readers = {"txt": _txt, "csv": _csv, "tsv": _csv, "jsonl": _jsonl, "parquet": _parquet}
    return readers[form.format](path, form)


def _not_text(line: int, encoding: str) -> BadLine:
    return BadLine(line, f"bytes that are not {encoding.upper()}", 'Set encoding = "latin-1" or so')


def _txt(path: Path, form: Form) -> Iterator[Row | BadLine]:
    with opened(path) as file:
        for number, line in decoded_lines(file, form.encoding):
            if line is None:
                yield _not_text(number, form.encoding)
            elif line.strip():
                yield number, {"text": line.rstrip("\r\n")}


def _jsonl(path: Path, form: Form) -> Iterator[Row | BadLine]:
    with opened(path) as file:
        for number, line in decoded_lines(file, form.encoding):
            if line is None:
                yield _not_text(number, form.encoding)
                continue
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", str(error))
                yield BadLine(number, f"not JSON: {reason}", "A line holds one JSON object")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                yield BadLine(
                    number, f"a JSON {type(row).__name__}", "A line holds one JSON object"
                )


def _csv(path: Path, form: Form) -> Iterator[Row | BadLine]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with opened(path) as file:
        lines = _Lines(decoded_lines(file, form.encoding))
        quoting = form.format == "csv" if form.quoting == "auto" else form.quoting
        rows = csv.reader(
            lines,
            delimiter=form.delimiter or ("\t" if form.format == "tsv" else ","),
            quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
            strict=bool(quoting),
        )
        names: Sequence[str] = form.columns
        if form.header:
            names = next(rows, [])
            _check_columns(names, form.wanted, path)
        yield from _records(rows, lines, names, form)


class _Lines:
    """Lines for the csv reader; keeps those that could not be decoded, and where a row starts."""

    def __init__(self, lines: Iterator[tuple[int, str | None]]) -> None:
        self._lines = lines
        self.number = 0
        self.undecodable: list[int] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            self.number = number
            if line is None:
                self.undecodable.append(number)
                continue
            # Without quotes a stray carriage return or NUL would end or break the row.
            return line.replace("\0", "\ufffd") if "\0" in line else line
        raise StopIteration


def _records(rows: Any, lines: _Lines, names: Sequence[str], form: Form) -> Iterator[Row | BadLine]:
    while True:
        start = lines.number + 1
        try:
            values = next(rows, None)
        except csv.Error as error:
            fix = "If quotes are part of the text, set quoting = false"
            yield BadLine(start, f"not {form.format}: {error}", fix)
            continue
        while lines.undecodable:
            yield _not_text(lines.undecodable.pop(0), form.encoding)
        if values is None:
            return
        if not values:
            continue
        if len(values) != len(names):
            fix = "Check the delimiter, and quotes around fields that hold it"
            yield BadLine(start, f"{len(values)} fields, not {len(names)}", fix)
            continue
        yield start, dict(zip(names, values, strict=True))


def column_names(path: Path, form: Form) -> tuple[str, ...]:
    """The header of a csv or tsv file."""
    with opened(path) as file:
        lines = (line for _, line in decoded_lines(file, form.encoding) if line is not None)
        delimiter = form.delimiter or ("\t" if form.format == "tsv" else ",")
        return tuple(next(csv.reader(lines, delimiter=delimiter), []))


def _check_columns(names: Sequence[str], wanted: Sequence[str], path: Path) -> None:
    for name in wanted:
        if name not in names:
            listed = ", ".join(names) or "none"
            raise DataError(
                f"{path}:1: there is no column {name!r}; the columns are: {listed}. "
                f"{_near(name, names)}Name it with data.text or data.label; if the file has no "
                "header, set data.header = false and data.columns."
            )


def _near(name: str, names: Sequence[str]) -> str:
    hint = did_you_mean(name, names)
    return f"{hint} " if hint.startswith("Did") else ""


def _parquet(path: Path, form: Form) -> Iterator[Row | BadLine]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            f'{path} is a parquet file, which needs pyarrow: pip install "loomlm[parquet]"'
        ) from None
    try:
        file = parquet.ParquetFile(path)
        _check_columns(file.schema_arrow.names, form.wanted, path)
        number = 0
        for batch in file.iter_batches(columns=list(form.wanted)):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}.") from None
