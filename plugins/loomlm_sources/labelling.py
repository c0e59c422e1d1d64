"""Labels: from a column, from the names of files and folders, by a pattern, from a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import define, field

from loomlm.plugin import DataError, nearest
from loomlm_sources.config import FilesConfig
from loomlm_sources.forms import Form
from loomlm_sources.lines import BadLine, read_lines
from loomlm_sources.opening import data_format, stem
from loomlm_sources.readers import read_rows
from loomlm_sources.values import kind_of, label_of, shown, value_of

Label = str | tuple[str, ...]
Read = Callable[[Mapping[str, Any], str, str], Label | BadLine]
"""The label of a row: from its values, its text and its place."""

NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
MOST = 1000
"""Labels of a column that are remembered."""


@define(slots=False)
class Labelling:
    """Reads labels as the config says. Remembers what labels were like, by split."""

    config: FilesConfig
    _columns: dict[str, _Column] = field(factory=dict)

    def reader(self, path: Path, split: str) -> Read | None:
        """What reads the labels of a file's rows, None where there are none."""
        config = self.config
        if config.label is not None:
            made = _Column(config.label, config.empty_labels)
            column = self._columns.setdefault(split, made)
            return column.typed if data_format_of(path, config) in TYPED else column.untyped
        if config.label_table is not None and config.label_table.column is not None:
            return self._looked_up
        if self.config.label_pattern is not None and config.label_from in (None, "text"):
            return self._in_text
        constant = self.of_file(path)
        return None if constant is None else lambda values, text, place: constant

    def of_file(self, path: Path) -> Label | BadLine | None:
        """The label that all rows of a file have, None where it does not go by the file."""
        config = self.config
        if config.label_table is not None and config.label_table.column is None:
            return self._of_name(path)
        if config.label_from in (None, "text"):
            return None
        names = {
            "folder": path.absolute().parent.name,
            "file": stem(path),
            "path": path.as_posix(),
        }
        name = names[config.label_from]
        if config.label_pattern is not None:
            return self._found(name, f"the {config.label_from}")
        return name.strip() or BadLine(0, f"there is no {config.label_from} to name the label")

    def forget(self, split: str) -> None:
        """The split is read anew."""
        self._columns.pop(split, None)

    def notes(self) -> tuple[str, ...]:
        """Sentences on columns of labels that hold numbers and words."""
        found = (column.note() for column in self._columns.values())
        return tuple(note for note in found if note)

    def stripped(self, text: str) -> str:
        """The text without what the pattern found in it."""
        return self._pattern.sub("", text, count=1) if self.config.strip_label else text

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        assert self.config.label_pattern is not None
        return re.compile(self.config.label_pattern)

    def _in_text(self, values: Mapping[str, Any], text: str, place: str) -> Label | BadLine:
        return self._found(text, "the text")

    def _found(self, where: str, what: str) -> Label | BadLine:
        match = self._pattern.search(where)
        label = (match.group(1) or "").strip() if match else ""
        fix = "Mend the line, or data.label_pattern"
        return label or BadLine(0, f"label_pattern finds no label in {what} {shown(where)}", fix)

    def _looked_up(self, values: Mapping[str, Any], text: str, place: str) -> Label | BadLine:
        table = self.config.label_table
        assert table is not None and table.column is not None
        value = value_of(values, table.column)
        if isinstance(value, BadLine):
            return value
        return self._of_key((str(value),))

    def _of_name(self, path: Path) -> Label | BadLine:
        table = self.config.label_table
        assert table is not None
        folder, whole = table.file.absolute().parent, path.absolute()
        inside = [whole.relative_to(folder).as_posix()] if whole.is_relative_to(folder) else []
        return self._of_key((*inside, path.name))

    def _of_key(self, keys: tuple[str, ...]) -> Label | BadLine:
        table = self.config.label_table
        assert table is not None
        for key in keys:
            if key in self._table:
                return self._table[key]
        near = nearest(keys[0], self._table)
        hint = f"The nearest there is {near!r}. " if near else ""
        return BadLine(0, f"{table.file} has no label for {shown(keys[0])}", f"{hint}Add it")

    @cached_property
    def _table(self) -> Mapping[str, Label]:
        table = self.config.label_table
        assert table is not None
        form = Form(
            format=data_format(table.file),
            encoding=self.config.encoding,
            delimiter=None,
            quoting="auto",
            header=True,
            columns=(),
            wanted=(table.by, table.label),
            labels=(table.label,),
            longest=self.config.longest_line,
        )
        found: dict[str, Label] = {}
        for row in read_rows(table.file, form):
            key, label = ("", row) if isinstance(row, BadLine) else _entry(row[1], table)
            line = row.line if isinstance(row, BadLine) else row[0]
            if isinstance(label, BadLine):
                raise DataError(f"{table.file}:{line}: {label.reason}. {label.fix or 'Mend it'}.")
            if key in found:
                raise DataError(f"{table.file}:{line}: {shown(key)} has a label already. Keep one.")
            found[key] = label
        if not found:
            raise DataError(f"{table.file} has no label. Check that it is whole.")
        return found


def _entry(values: Mapping[str, Any], table: Any) -> tuple[str, Label | BadLine]:
    key, value = value_of(values, table.by), value_of(values, table.label)
    if isinstance(key, BadLine) or isinstance(value, BadLine):
        return "", key if isinstance(key, BadLine) else value
    return str(key), label_of(value)


TYPED = ("jsonl", "parquet")
"""Forms that tell numbers from texts."""


def data_format_of(path: Path, config: FilesConfig) -> str:
    """A file's form, as the config or its name says; `train.de` is text where others go with it
    line by line.
    """
    if config.format != "auto":
        return config.format
    return data_format(path, "txt" if config.targets is not None else None)


def label_names(path: Path, encoding: str, longest: int) -> list[str]:
    """The names of labels that a file has, one a line. Raises DataError for one that is blank."""
    names = []
    for line in read_lines(path, encoding, longest):
        if isinstance(line, BadLine):
            raise DataError(f"{path}:{line.line}: {line.reason}. Each line has one label's name.")
        names.append(line[1].strip())
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{path} has no name. Write a label's name on each line.")
    if "" in names:
        number = names.index("") + 1
        raise DataError(f"{path}:{number}: a blank line. Each line has one label's name.")
    return names


@define
class _Column:
    """A column of labels, and what they were like: all numbers, or all texts.

    empty: whether an empty cell is no mistake. known: labels of values that were seen, of texts
    alone; places: where csv had them first.
    """

    name: str
    empty: bool = False
    first: tuple[str, Any, str] | None = None
    known: dict[str, Label] = field(factory=dict)
    places: dict[str, str] = field(factory=dict)

    def typed(self, values: Mapping[str, Any], text: str, place: str) -> Label | BadLine:
        value = values.get(self.name)
        if type(value) is str and value in self.known:
            return self.known[value]
        value = value_of(values, self.name)
        if isinstance(value, BadLine):
            return value
        label = self._label(value)
        if not isinstance(label, BadLine) and label:
            self._check_kind(value, place)
            if isinstance(value, str) and len(self.known) < MOST:
                self.known[value] = label
        return label

    def untyped(self, values: Mapping[str, Any], text: str, place: str) -> Label | BadLine:
        value = values.get(self.name)
        if value in self.known:
            return self.known[value]
        value = value_of(values, self.name)
        if isinstance(value, BadLine):
            return value
        label = self._label(value)
        if isinstance(label, str) and label and len(self.known) < MOST:
            self.known[value] = label
            self.places[label] = place
        return label

    def _label(self, value: Any) -> Label | BadLine:
        blank = value is None or (isinstance(value, str) and not value.strip())
        return "" if self.empty and blank else label_of(value)

    def note(self) -> str:
        """That numbers and words are mixed, with the first places."""
        by_kind: dict[bool, str] = {}
        for label, place in self.places.items():
            number = NUMBER.fullmatch(label) is not None
            by_kind.setdefault(number, f"{shown(label)}, first at {place}")
        if len(by_kind) < 2:
            return ""
        return f"Some labels are numbers ({by_kind[True]}), and some words ({by_kind[False]})."

    def _check_kind(self, value: Any, place: str) -> None:
        for item in value if isinstance(value, list) else (value,):
            kind = kind_of(item)
            if self.first is None:
                self.first = kind, item, place
            elif self.first[0] != kind:
                was, earlier, where = self.first
                raise DataError(
                    f"{place}: the label {shown(item)} is {kind}, and {shown(earlier)} at {where} "
                    f"is {was}. A column of labels has one type: mend it, or name another with "
                    "data.label."
                )
