"""The `files` source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from loomlm.plugin import DataError, Example, did_you_mean
from loomlm_sources.aligned import aligned_rows
from loomlm_sources.config import SPLITS, FilesConfig
from loomlm_sources.looking import complete, with_other_file
from loomlm_sources.opening import (
    UNDECODABLE,
    data_format,
    decoded_lines,
    find_files,
    opened,
    packing,
)
from loomlm_sources.readers import BadLine, Form, Row, column_names, read_rows
from loomlm_sources.values import check_split, joined_text, label_of


@define
class _Skipped:
    first: int
    count: int = 0


@frozen
class _Part:
    """Rows that are read alike: from `path`, or for lines with labels from it on."""

    path: Path
    rows: Iterable[tuple[Path, Row | BadLine]]
    texts: tuple[str, ...]
    label: str | None


@define
class Files:
    """See `loomlm.plugin.DataSource`. Reads line by line; one example at a time is in memory."""

    config: FilesConfig
    _skipped: dict[Path, _Skipped] = field(factory=dict)

    @staticmethod
    def look(options: Mapping[str, Any], labelled: bool) -> dict[str, Any]:
        """Complete a data table: the columns of text and label, and headers that are not there."""
        return complete(options, labelled)

    @staticmethod
    def with_file(options: Mapping[str, Any], file: str) -> dict[str, Any]:
        """The options with another file as the test split."""
        return with_other_file(options, file)

    def splits(self) -> tuple[str, ...]:
        return tuple(name for name in SPLITS if getattr(self.config, name) is not None)

    def fingerprint(self) -> str:
        """SHA-256 over what the config means and the bytes of every file.

        Of a file's name only the ending counts, where the form goes by it.
        """
        named = (*SPLITS, "labels", "label_names", "format")
        meaning: dict[str, Any] = {
            name: value
            for name, value in attrs.asdict(self.config, recurse=False).items()
            if name not in named
        }
        meaning["text"] = self._texts()
        meaning["label_names"] = _contents(self._paths(self.config.label_names))
        for split in self.splits():
            files = self._paths(getattr(self.config, split))
            forms = [self._format(path) for path in files]
            meaning[f"files of {split}"] = [forms, _contents(files)]
            meaning[f"labels of {split}"] = _contents(self._label_files(split))
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def examples(self, split: str) -> Iterator[Example]:
        """The split's examples, file by file."""
        check_split(split, self.splits())
        for path in (*find_files(getattr(self.config, split)), *self._label_files(split)):
            self._skipped.pop(path, None)
        for part in self._parts(split):
            yield from _some(self._checked(part), part.path)

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{path}: {skipped.count:,} {'line' if skipped.count == 1 else 'lines'} skipped that "
            f"cannot be read, the first is line {skipped.first}."
            for path, skipped in self._skipped.items()
        )

    def _parts(self, split: str) -> Iterator[_Part]:
        files, labels = find_files(getattr(self.config, split)), self._label_files(split)
        if labels:
            for path in files:
                self._refuse_columns(path)
            rows = aligned_rows(files, labels, self.config.encoding)
            yield _Part(files[0], rows, ("text",), "label")
            return
        for path in files:
            rows = zip(repeat(path), read_rows(path, self._form(path, split)), strict=False)
            if self._format(path) == "txt":
                # A text file has no columns: its lines are the text.
                self._refuse_label(path, split)
                yield _Part(path, rows, ("text",), None)
            else:
                self._refuse_documents(path)
                yield _Part(path, rows, self._texts(), self.config.label)

    def _checked(self, part: _Part) -> Iterator[Example]:
        for path, row in part.rows:
            example = row if isinstance(row, BadLine) else self._example(path, row, part)
            if isinstance(example, Example):
                yield example
            else:
                self._refuse(path, example)

    def _example(self, path: Path, row: Row, part: _Part) -> Example | BadLine:
        line, values = row
        text = joined_text(values, part.texts)
        if isinstance(text, BadLine):
            return attrs.evolve(text, line=line)
        label = None if part.label is None else label_of(values, part.label, self._names)
        if isinstance(label, BadLine):
            return attrs.evolve(label, line=line)
        return Example(text, label, place=f"{path}:{line}")

    def _refuse(self, path: Path, bad: BadLine) -> None:
        if self.config.on_bad_line == "skip":
            skipped = self._skipped.setdefault(path, _Skipped(bad.line))
            skipped.count += bad.lines
            return
        fix = bad.fix or "Mend the line"
        raise DataError(f'{path}:{bad.line}: {bad.reason}. {fix}, or set on_bad_line = "skip".')

    def _refuse_label(self, path: Path, split: str) -> None:
        if self.config.label is not None:
            raise DataError(
                f"{path} is a txt file, which has no column {self.config.label!r}. Take data.label "
                f"out, and name a file that has a label a line: data.labels.{split}."
            )

    def _refuse_columns(self, path: Path) -> None:
        if self._format(path) != "txt":
            raise DataError(
                f"data.labels is for txt files, and {path} is {self._format(path)}. Name its "
                "column of labels with data.label."
            )

    def _refuse_documents(self, path: Path) -> None:
        if self.config.documents != "line":
            raise DataError(
                f"data.documents is for txt files, and {path} is {self._format(path)}, where each "
                "row is an example. Take data.documents out, or name txt files."
            )

    def _texts(self) -> tuple[str, ...]:
        return (self.config.text,) if isinstance(self.config.text, str) else self.config.text

    def _format(self, path: Path) -> str:
        return data_format(path) if self.config.format == "auto" else self.config.format

    def _paths(self, patterns: Path | tuple[Path, ...] | None) -> list[Path]:
        return [] if patterns is None else find_files(patterns)

    def _label_files(self, split: str) -> list[Path]:
        return self._paths((self.config.labels or {}).get(split))

    def _form(self, path: Path, split: str) -> Form:
        config = self.config
        header = (
            config.header.get(split, True) if isinstance(config.header, Mapping) else config.header
        )
        form = Form(
            format=self._format(path),
            encoding=config.encoding,
            delimiter=config.delimiter,
            quoting=config.quoting,
            header=header,
            columns=config.columns,
            wanted=(*self._texts(), config.label) if config.label else self._texts(),
            documents=config.documents,
        )
        if header or form.format not in ("csv", "tsv"):
            return form
        return attrs.evolve(form, columns=self._columns(path, split, form))

    def _columns(self, path: Path, split: str, form: Form) -> tuple[str, ...]:
        """Names for a file without a header."""
        names = self.config.columns
        if not names and split != "train":
            first = find_files(self.config.train)[0]
            train = self._form(first, "train")
            names = column_names(first, train) if train.header else train.columns
        if not names:
            raise DataError(f"{path} has no header. Name its columns: data.columns = [...].")
        for name in form.wanted:
            if name not in names:
                raise DataError(
                    f"data.columns has no {name!r}. {did_you_mean(name, names)} "
                    "It must name the columns of data.text and data.label."
                )
        return names

    @cached_property
    def _names(self) -> Mapping[str, str] | None:
        """Names by the number that stands for them; from 0 where the training data has a 0."""
        if self.config.label_names is None:
            return None
        path = find_files(self.config.label_names)[0]
        names = _label_names(path, self.config.encoding)
        return {str(number): name for number, name in enumerate(names, 0 if self._zero() else 1)}

    def _zero(self) -> bool:
        for part in self._parts("train"):
            for _, row in part.rows:
                if isinstance(row, BadLine) or part.label is None:
                    continue
                label = label_of(row[1], part.label, None)
                if label == "0" or (isinstance(label, tuple) and "0" in label):
                    return True
        return False


def _some(examples: Iterator[Example], path: Path) -> Iterator[Example]:
    first = next(examples, None)
    if first is None:
        raise DataError(f"{path} has no example. Take it out, or check that it is whole.")
    yield first
    yield from examples


def _label_names(path: Path, encoding: str) -> list[str]:
    with opened(path) as file:
        names = [line.strip() for _, line in decoded_lines(file, encoding)]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{path} has no name. Write a label's name on each line.")
    for number, name in enumerate(names, 1):
        if not name or UNDECODABLE in name:
            wrong = "a blank line" if not name else f"bytes that are not {encoding.upper()}"
            raise DataError(f"{path}:{number}: {wrong}. Each line has one label's name.")
    return names


def _contents(paths: Iterable[Path]) -> list[list[str]]:
    """What the files hold: their packing and the digest of their bytes."""
    found = []
    for path in paths:
        with opened(path, unpack=False) as file:
            # `file_digest` reads a binary file; `opened` says IO, which may be of text too.
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        found.append([packing(path), digest])
    return found
