"""The `files` source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import attrs
from attrs import Factory, define, field

from loomlm.plugin import DataError, Example, did_you_mean
from loomlm_sources import annotated
from loomlm_sources.aligned import aligned_rows
from loomlm_sources.config import SPLITS, FilesConfig, extra_columns, texts_by_line
from loomlm_sources.forms import Form, Row
from loomlm_sources.labelling import Label, Labelling, data_format_of, label_names
from loomlm_sources.lines import BadLine
from loomlm_sources.looking import complete, with_other_file
from loomlm_sources.opening import find_files
from loomlm_sources.parts import Part, line_label
from loomlm_sources.readers import read_rows
from loomlm_sources.skipping import Skipped
from loomlm_sources.tables import column_names
from loomlm_sources.values import check_split, joined_text
from loomlm_sources.watching import Stamp, Watch, sampled, whole


@define(slots=False)
class Files:
    """See `loomlm.plugin.ShardedSource`. Reads line by line; one example at a time is in memory."""

    config: FilesConfig
    _skipped: Skipped = field(factory=Skipped)
    _watch: Watch = field(factory=Watch)
    _labelling: Labelling = field(
        init=False, default=Factory(lambda self: Labelling(self.config), takes_self=True)
    )

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

        Of a file's name only the ending counts, where the form goes by it, and what a label is
        read from.
        """
        return self._fingerprint(whole)

    def shards_fingerprint(self) -> str:
        """As `fingerprint`, by the size of each file, its first and last bytes, some between."""
        return self._fingerprint(sampled)

    def examples(self, split: str) -> Iterator[Example]:
        """The split's examples, file by file."""
        check_split(split, self.splits())
        beside = [path for paths in self._by_line(split).values() for path in paths]
        self._skipped.forget((*find_files(getattr(self.config, split)), *beside))
        self._labelling.forget(split)
        found = False
        for part in self._parts(split):
            for example in self._read(part):
                found = True
                yield example
        if not found:
            _no_example(find_files(getattr(self.config, split))[0])

    def shards(self, split: str) -> tuple[str, ...]:
        """The split's files, in order; the first alone where others go with them line by line."""
        check_split(split, self.splits())
        files = find_files(getattr(self.config, split))
        return tuple(map(str, files[:1] if self._by_line(split) else files))

    def shard(self, split: str, name: str, skip: int = 0) -> Iterator[Example]:
        """The examples of a file, without the first `skip`.

        Those are not read where no line can be left out: not parsed, and of parquet files not even
        looked at. Otherwise it has to be seen which lines are examples.
        """
        names = self.shards(split)
        if name not in names:
            raise DataError(f"The {split} split has no file {name}. {did_you_mean(name, names)}")
        exact = self.config.on_bad_line == "error"
        files = find_files(getattr(self.config, split))
        if self._by_line(split):
            part = self._aligned(split)
            exact = False
        else:
            part = self._part(files[names.index(name)], split, skip if exact else 0)
        self._skipped.forget(part.paths)
        examples = self._read(part, skip if exact else 0)
        for number, example in enumerate(examples):
            if exact or number >= skip:
                yield example

    def notes(self) -> tuple[str, ...]:
        return (*self._skipped.notes(), *self._labelling.notes())

    def skipped(self) -> Mapping[str, tuple[int, tuple[int, ...]]]:
        """By file, how many lines were skipped so far, and the numbers of the first, at most 20."""
        return self._skipped.counts()

    def _fingerprint(self, contents: Callable[[Iterable[Path]], Any]) -> str:
        self._labelling = Labelling(self.config)
        vars(self).pop("_names", None)
        named = (*SPLITS, "labels", "targets", "label_names", "label_table", "format")
        meaning: dict[str, Any] = {
            name: value
            for name, value in attrs.asdict(self.config, recurse=False).items()
            if name not in named
        }
        meaning["text"] = self._texts()
        meaning["beside"] = contents(self._noted(self._beside()))
        if (table := self.config.label_table) is not None:
            meaning["label_table"] = [table.by, table.label, table.column]
        for split in self.splits():
            files = self._noted(self._paths(getattr(self.config, split)))
            forms = [self._format(path) for path in files]
            meaning[f"files of {split}"] = [forms, contents(files)]
            by_line = self._by_line(split)
            labels = self._noted(by_line.get("label", []))
            meaning[f"labels of {split}"] = contents(labels)
            if "target" in by_line:
                meaning[f"targets of {split}"] = contents(self._noted(by_line["target"]))
            meaning[f"names of {split}"] = [str(self._labelling.of_file(path)) for path in files]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def _beside(self) -> list[Path]:
        """Files that say what labels are, for all splits."""
        table = self.config.label_table
        return [*self._paths(self.config.label_names), *([] if table is None else [table.file])]

    def _noted(self, paths: list[Path]) -> list[Path]:
        self._watch.note(paths)
        return paths

    def _parts(self, split: str) -> Iterator[Part]:
        if self._by_line(split):
            yield self._aligned(split)
            return
        for path in find_files(getattr(self.config, split)):
            yield self._part(path, split)

    def _aligned(self, split: str) -> Part:
        files, beside = find_files(getattr(self.config, split)), self._by_line(split)
        for path in files:
            self._refuse_columns(path)
            self._refuse_extra(path)
        rows = aligned_rows(files, beside, self.config.encoding, self.config.longest_line)
        paths = (*files, *(path for paths in beside.values() for path in paths))
        label = line_label if "label" in beside else None
        return Part(paths, rows, ("text",), label)

    def _part(self, path: Path, split: str, skip: int = 0) -> Part:
        rows = zip(repeat(path), read_rows(path, self._form(path, split), skip), strict=False)
        form = self._format(path)
        if form in annotated.FORMATS:
            self._refuse_documents(path)
            tags = annotated.tags_of if form == "conll" else None
            further = annotated.EXTRA.get(form, ()), annotated.META.get(form, ())
            return Part((path,), rows, ("text",), tags, *further)
        label = self._labelling.reader(path, split)
        if form != "txt":
            self._refuse_documents(path)
            return Part((path,), rows, self._texts(), label)
        # A text file has no columns: its lines are the text.
        self._refuse_label(path, split)
        self._refuse_extra(path)
        return Part((path,), rows, ("text",), label)

    def _read(self, part: Part, skip: int = 0) -> Iterator[Example]:
        """The examples of a part, of which `skip` are left out already."""
        begun = {path: self._watch.begin(path) for path in (*part.paths, *self._beside())}
        empty = not skip
        make = self._maker(part)
        for path, row in part.rows:
            example = row if isinstance(row, BadLine) else make(path, row)
            if isinstance(example, BadLine):
                self._refuse(path, example, begun)
            else:
                empty = False
                yield example
        self._check(begun)
        if empty and self.config.on_bad_line == "error":
            # Most often one that was not fetched whole; who knows of it lets it be skipped.
            _no_example(part.paths[0])
        if empty:
            self._skipped.add_empty(part.paths[0])

    def _maker(self, part: Part) -> Callable[[Path, Row], Example | BadLine]:
        """What makes an example of a row. It is called for each, so it looks nothing up."""
        texts, label_of_row = part.texts, part.label
        single = len(texts) == 1
        further = [(name, (column,)) for name, column in extra_columns(self.config).items()]
        further += [(name, (name,)) for name in texts_by_line(self.config)]
        further += [(name, (name,)) for name in part.extra]
        tags, metas = self.config.label, part.meta
        named = self._named if self.config.label_names is not None else None
        stripped = self._labelling.stripped if self.config.strip_label else None

        def make(path: Path, row: Row) -> Example | BadLine:
            line, values = row
            place = f"{path}:{line}"
            text = values.get(texts[0]) if single else None
            if isinstance(text, list) and tags and isinstance(values.get(tags), list):
                text = annotated.words_of(text, values[tags])
            elif not isinstance(text, str):
                text = joined_text(values, texts)
            if isinstance(text, BadLine):
                return attrs.evolve(text, line=line)
            extra, meta = {}, {name: values[name] for name in metas}
            for name, columns in further:
                given = values.get(columns[0])
                if annotated.has_answers(given):
                    found, kind = annotated.answers_beside(given, text), meta
                else:
                    found, kind = joined_text(values, columns), extra
                if isinstance(found, BadLine):
                    return attrs.evolve(found, line=line)
                kind[name] = found
            if label_of_row is None:
                return Example(text, None, extra, place, meta)
            label = label_of_row(values, text, place)
            if named is not None and not isinstance(label, BadLine):
                label = named(label)
            if isinstance(label, BadLine):
                return attrs.evolve(label, line=line)
            return Example(stripped(text) if stripped else text, label, extra, place, meta)

        return make

    def _refuse(self, path: Path, bad: BadLine, begun: Mapping[Path, Stamp]) -> None:
        if self.config.on_bad_line == "skip":
            self._skipped.add(path, bad)
            return
        self._check(begun)
        fix = bad.fix or "Mend the line"
        raise DataError(f'{path}:{bad.line}: {bad.reason}. {fix}, or set on_bad_line = "skip".')

    def _check(self, begun: Mapping[Path, Stamp]) -> None:
        for path, stamp in begun.items():
            self._watch.check(path, stamp)

    def _refuse_label(self, path: Path, split: str) -> None:
        if self.config.label is not None:
            raise DataError(
                f"{path} is a txt file, which has no column {self.config.label!r}. Take data.label "
                f"out, and name a file that has a label a line: data.labels.{split}, or say where "
                "a label stands: data.label_from."
            )

    def _refuse_extra(self, path: Path) -> None:
        for name, column in extra_columns(self.config).items():
            key = "pair" if name == "pair" and self.config.pair else f"fields.{name}"
            raise DataError(
                f"{path} is a txt file, which has no column {column!r}. Take data.{key} "
                "out, or name a table that has the column: csv, tsv, jsonl or parquet."
            )

    def _refuse_columns(self, path: Path) -> None:
        if self._format(path) != "txt":
            of_labels = self.config.labels is not None
            given = "labels" if of_labels else "targets"
            key = "label" if of_labels else 'fields = { target = "..." }'
            raise DataError(
                f"data.{given} is for txt files, and {path} is {self._format(path)}. Name its "
                f"column of {given} with data.{key}."
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
        return data_format_of(path, self.config)

    def _paths(self, patterns: Path | tuple[Path, ...] | None) -> list[Path]:
        return [] if patterns is None else find_files(patterns)

    def _by_line(self, split: str) -> dict[str, list[Path]]:
        """The files that go with a split's line by line, by what they hold.

        Raises DataError where another split's are named and not this one's.
        """
        named = {"label": self.config.labels, "target": self.config.targets}
        found = {name: self._paths((of or {}).get(split)) for name, of in named.items()}
        if self.config.targets and not found["target"]:
            raise DataError(
                f"data.targets names no file for {split}. Name it, or take {split} out."
            )
        return {name: paths for name, paths in found.items() if paths}

    def _form(self, path: Path, split: str) -> Form:
        config = self.config
        header = (
            config.header.get(split, True) if isinstance(config.header, Mapping) else config.header
        )
        table = config.label_table
        named = config.label, table.column if table else None
        labels = tuple(name for name in named if name is not None)
        form = Form(
            format=self._format(path),
            encoding=config.encoding,
            delimiter=config.delimiter,
            quoting=config.quoting,
            header=header,
            columns=config.columns,
            wanted=(*self._texts(), *extra_columns(config).values(), *labels),
            labels=labels,
            longest=config.longest_line,
            documents=config.documents,
            word=config.word_column,
            tag=config.tag_column,
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

    def _named(self, label: Label) -> Label | BadLine:
        found = [self._names.get(one) for one in ((label,) if isinstance(label, str) else label)]
        names = tuple(name for name in found if name is not None)
        if len(names) == len(found):
            return names[0] if isinstance(label, str) else names
        first, last = min(self._names, key=int), max(self._names, key=int)
        shown = label if isinstance(label, str) else label[found.index(None)]
        return BadLine(0, f"the label {shown!r} is no number from {first} to {last} of label_names")

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """Names by the number that stands for them; from 0 where the training data has a 0."""
        path = self._paths(self.config.label_names)[0]
        names = label_names(path, self.config.encoding, self.config.longest_line)
        first = 0 if self._has_zero(len(names)) else 1
        return {str(number): name for number, name in enumerate(names, first)}

    def _has_zero(self, count: int) -> bool:
        """Whether the training data has a label 0, before one that is the number of the names."""
        for part in self._parts("train"):
            for path, row in part.rows:
                if isinstance(row, BadLine) or part.label is None:
                    continue
                text = joined_text(row[1], part.texts)
                if isinstance(text, BadLine):
                    continue
                label = part.label(row[1], text, f"{path}:{row[0]}")
                found = label if isinstance(label, tuple) else (label,)
                if "0" in found or str(count) in found:
                    return "0" in found
        return False


def _no_example(path: Path) -> None:
    raise DataError(f"{path} has no example. Take it out, or check that it is whole.")
