"""Rows of a file, each form its own reader: (line, values by column), or what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from loomlm_sources import annotated
from loomlm_sources.documents import documents
from loomlm_sources.forms import Form, Row
from loomlm_sources.lines import BadLine, read_lines
from loomlm_sources.parquet import read_parquet
from loomlm_sources.tables import read_table


def read_rows(path: Path, form: Form, skip: int = 0) -> Iterator[Row | BadLine]:
    """The rows of a file, without the first `skip`, which are good ones."""
    readers = {
        "txt": _txt,
        "csv": read_table,
        "tsv": read_table,
        "jsonl": _jsonl,
        "parquet": read_parquet,
        **annotated.READERS,
    }
    return readers[form.format](path, form, skip)


def _txt(path: Path, form: Form, skip: int = 0) -> Iterator[Row | BadLine]:
    lines = read_lines(path, form.encoding, form.longest)
    for found in islice(documents(lines, form.documents, form.longest), skip, None):
        yield found if isinstance(found, BadLine) else (found[0], {"text": found[1]})


def _jsonl(path: Path, form: Form, skip: int = 0) -> Iterator[Row | BadLine]:
    objects = _Objects()
    for line in read_lines(path, form.encoding, form.longest):
        if isinstance(line, BadLine):
            yield line
            continue
        if line[1].isspace():
            continue
        if skip:
            skip -= 1
            continue
        row = objects.of_line(*line)
        if objects.twice and not isinstance(row, BadLine):
            named = [name for name in form.wanted if name in objects.twice]
            if named:
                row = BadLine(line[0], f"{named[0]!r} stands twice", "Keep one of them")
        yield row


class _Objects:
    """JSON objects from lines. twice: the keys that the last one has more than once.

    `json` keeps the last value of such a key, and says nothing.
    """

    def __init__(self) -> None:
        self._decode = json.JSONDecoder(object_pairs_hook=self._object).decode
        self.twice: list[str] = []

    def of_line(self, number: int, line: str) -> Row | BadLine:
        fix = "Put one JSON object on each line"
        try:
            row = self._decode(line)
        except (ValueError, RecursionError) as error:
            return BadLine(number, f"not JSON: {getattr(error, 'msg', error)}", fix)
        if isinstance(row, dict):
            return number, row
        names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
        return BadLine(number, f"a JSON {names.get(type(row), 'number')}, not an object", fix)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            self.twice = [name for name, count in counts.items() if count > 1]
        elif self.twice:
            self.twice = []  # The outermost object comes last.
        return row
