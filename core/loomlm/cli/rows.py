"""The rows that `loomlm predict` is given: lines of text, of JSON, or of a table."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

Row = dict[str, Any]


def read_rows(source: str | None) -> Iterator[Row]:
    """The rows of a file, or of standard input; each has a `text`.

    .jsonl: objects, a line each. .csv and .tsv: a header, then rows; quotes count in csv alone.
    Others: each line is a text, a blank one too, so that predictions stand line by line.

    Raises DataError for what cannot be read.
    """
    from loomlm.errors import DataError

    name = source or "standard input"
    form = Path(source or "").suffix
    if form not in FORMS:
        known = ", ".join(form for form in FORMS if form)
        raise DataError(f"{name}: predict reads {known}, not {form}.")
    try:
        with click.open_file(source or "-", encoding="utf-8-sig") as file:
            yield from FORMS[form](file, name)
    except UnicodeDecodeError:
        raise DataError(f"{name} is not UTF-8. Save it as UTF-8 and try again.") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from None


def _of_text(lines: Iterable[str], name: str) -> Iterator[Row]:
    return ({"text": line.rstrip("\r\n")} for line in lines)


def _of_json(lines: Iterable[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _object(line, f"{name}:{number}")


def _object(line: str, place: str) -> Row:
    from loomlm.errors import DataError

    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not JSON: {error}.") from None
    # A chat stands for a text: see `loomlm.inference.rows`.
    if not isinstance(row, dict) or not isinstance(
        row.get("text", row.get("messages")), str | list
    ):
        raise DataError(f'{place}: a line is an object with a text, {{"text": "..."}}.')
    return row


def _is_text(row: Row) -> bool:
    """Whether a row has a text, or a chat in place of one: see `loomlm.inference.rows`."""
    return isinstance(row.get("text", row.get("messages")), str | list)


def _of_csv(lines: Iterable[str], name: str) -> Iterator[Row]:
    from loomlm.errors import DataError

    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(lines, strict=True)
    try:
        yield from _of_table(((reader.line_num, fields) for fields in reader), name)
    except csv.Error as error:
        raise DataError(f"{name}:{reader.line_num}: not csv: {error}.") from None


def _of_tsv(lines: Iterable[str], name: str) -> Iterator[Row]:
    parted = (line.rstrip("\r\n") for line in lines)
    rows = ((number, line.split("\t") if line else []) for number, line in enumerate(parted, 1))
    return _of_table(rows, name)


def _of_table(rows: Iterator[tuple[int, list[str]]], name: str) -> Iterator[Row]:
    from loomlm.errors import DataError, did_you_mean

    header = next((fields for _, fields in rows if fields), [])
    if header and "text" not in header:
        raise DataError(
            f"{name}: the header names no column `text`. {did_you_mean('text', header)} Call the "
            "column of the text so."
        )
    for line, fields in rows:
        if not fields:
            continue
        if len(fields) != len(header):
            raise DataError(f"{name}:{line}: {len(fields)} fields, and the header {len(header)}.")
        yield dict(zip(header, fields, strict=True))


FORMS: dict[str, Callable[[Iterable[str], str], Iterator[Row]]] = {
    "": _of_text,
    ".txt": _of_text,
    ".jsonl": _of_json,
    ".csv": _of_csv,
    ".tsv": _of_tsv,
}
