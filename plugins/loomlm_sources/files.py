"""The `files` source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field

from loomlm.plugin import DataError, Example, did_you_mean
from loomlm_sources.config import SPLITS, FilesConfig
from loomlm_sources.looking import complete
from loomlm_sources.opening import data_format, find_files
from loomlm_sources.readers import BadLine, Form, column_names, read_rows
from loomlm_sources.values import joined_text, label_of


@define
class Files:
    """See `loomlm.plugin.DataSource`. Reads line by line; nothing is held whole in memory."""

    config: FilesConfig
    _skipped: dict[Path, list[int]] = field(factory=dict)

    @staticmethod
    def look(options: Mapping[str, Any]) -> dict[str, Any]:
        """Complete a data table: the columns of text and label, and headers that are not there."""
        return complete(options)

    def splits(self) -> tuple[str, ...]:
        return tuple(name for name in SPLITS if getattr(self.config, name) is not None)

    def fingerprint(self) -> str:
        """SHA-256 over what the config means and the bytes of every file, not their names."""
        meaning = {
            name: value
            for name, value in attrs.asdict(self.config, recurse=False).items()
            if name not in (*SPLITS, "labels", "label_names")
        }
        digest = hashlib.sha256(json.dumps(meaning, default=str, sort_keys=True).encode())
        for split in self.splits():
            digest.update(split.encode())
            for path in self._all_files(split):
                _hash_into(digest, path)
        return digest.hexdigest()

    def examples(self, split: str) -> Iterator[Example]:
        """The split's examples, file by file."""
        names = self._label_names()
        aligned = self._aligned_labels(split)
        count = 0
        for path in find_files(getattr(self.config, split)):
            before = count
            for example in self._read(path, split, names):
                count += 1
                if aligned is None:
                    yield example
                else:
                    yield attrs.evolve(example, label=_next_label(aligned, example, self.config))
            if count == before:
                raise DataError(f"{path} has no example. Take it out, or check that it is whole.")
        if aligned is not None and next(aligned, None) is not None:
            raise DataError(
                f"The labels of {split} have more lines than its {count} examples. "
                "Each line of the text needs one label, and no more."
            )

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{path.name}: {len(lines):,} lines skipped that cannot be read, the first is line "
            f"{lines[0]}."
            for path, lines in self._skipped.items()
        )

    def _read(self, path: Path, split: str, names: Mapping[str, str] | None) -> Iterator[Example]:
        form = self._form(path, split)
        texts = (self.config.text,) if isinstance(self.config.text, str) else self.config.text
        # A text file has no columns: its lines are the text.
        texts = ("text",) if form.format == "txt" else texts
        for row in read_rows(path, form):
            if isinstance(row, BadLine):
                self._refuse(path, row)
                continue
            line, values = row
            example = self._example(values, texts, names, f"{path}:{line}")
            if isinstance(example, Example):
                yield example
            else:
                self._refuse(path, attrs.evolve(example, line=line))

    def _example(
        self,
        values: Mapping[str, Any],
        texts: tuple[str, ...],
        names: Mapping[str, str] | None,
        place: str,
    ) -> Example | BadLine:
        text = joined_text(values, texts)
        if isinstance(text, BadLine) or self.config.label is None:
            return text if isinstance(text, BadLine) else Example(text, place=place)
        label = label_of(values, self.config.label, names)
        return label if isinstance(label, BadLine) else Example(text, label, place=place)

    def _refuse(self, path: Path, bad: BadLine) -> None:
        if self.config.on_bad_line == "skip":
            self._skipped.setdefault(path, []).append(bad.line)
            return
        fix = f"{bad.fix}, or set" if bad.fix else "Mend the line, or set"
        raise DataError(f'{path}:{bad.line}: {bad.reason}. {fix} on_bad_line = "skip".')

    def _form(self, path: Path, split: str) -> Form:
        config = self.config
        header = (
            config.header.get(split, True) if isinstance(config.header, Mapping) else config.header
        )
        texts = (config.text,) if isinstance(config.text, str) else config.text
        form = Form(
            format=data_format(path) if config.format == "auto" else config.format,
            encoding=config.encoding,
            delimiter=config.delimiter,
            quoting=config.quoting,
            header=header,
            columns=config.columns,
            wanted=(*texts, config.label) if config.label else texts,
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
        return tuple(names)

    def _label_names(self) -> dict[str, str] | None:
        """Names by the number that stands for them; from 0 where the training data has a 0."""
        if self.config.label_names is None:
            return None
        path = find_files(self.config.label_names)[0]
        form = attrs.evolve(self._form(path, "train"), format="txt")
        names = [row[1]["text"].strip() for row in read_rows(path, form) if isinstance(row, tuple)]
        first = 0 if self._has_zero() else 1
        return {str(number): name for number, name in enumerate(names, first)}

    def _has_zero(self) -> bool:
        rows = (
            row
            for path in find_files(self.config.train)
            for row in read_rows(path, self._form(path, "train"))
        )
        label = self.config.label or ""
        return any(not isinstance(row, BadLine) and str(row[1].get(label)) == "0" for row in rows)

    def _aligned_labels(self, split: str) -> Iterator[str] | None:
        path = (self.config.labels or {}).get(split)
        if path is None:
            return None
        form = attrs.evolve(self._form(find_files(path)[0], split), format="txt")
        return (
            row[1]["text"].strip() for row in read_rows(path, form) if not isinstance(row, BadLine)
        )

    def _all_files(self, split: str) -> list[Path]:
        files = find_files(getattr(self.config, split))
        for extra in (self.config.label_names, (self.config.labels or {}).get(split)):
            files += find_files(extra) if extra is not None else []
        return files


def _next_label(labels: Iterator[str], example: Example, config: FilesConfig) -> str:
    label = next(labels, None)
    if label is None:
        raise DataError(
            f"{example.place}: the labels file has ended before the text. "
            "Each line of the text needs one label."
        )
    return label


def _hash_into(digest: Any, path: Path) -> None:
    try:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
