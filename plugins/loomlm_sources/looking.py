"""Looks at files for `loomlm init`: which columns there are, and whether a header is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from loomlm.plugin import DataError
from loomlm_sources.config import SPLITS, FilesConfig
from loomlm_sources.forms import Form
from loomlm_sources.lines import BadLine
from loomlm_sources.opening import data_format, find_files
from loomlm_sources.parquet import flat_columns
from loomlm_sources.readers import read_rows
from loomlm_sources.tables import DELIMITERS, as_toml, column_names

TEXTS = ("text", "sentence", "content", "review", "question", "utterance", "document", "body")
ELSEWHERE = ("labels", "label_from", "label_pattern", "label_table")
"""Keys that say where labels come from, other than a column of the data."""

LABELS = ("label", "labels", "class", "category", "intent", "target", "sentiment", "topic")


def complete(options: Mapping[str, Any], labelled: bool) -> dict[str, Any]:
    """The options with `text`, `header` and, where one is wanted, `label` as the files show them.

    Text files in several folders have the folders' names for labels, each file a text. Raises
    DataError that lists the columns where one is not told and not known by its name.
    """
    filled = dict(options)
    files = {split: _first(options[split]) for split in SPLITS if options.get(split)}
    path = files["train"]
    form = _format(path, options)
    named = any(options.get(name) is not None for name in ("label", *ELSEWHERE))
    if form == "txt":
        if labelled and not named and _folders(options["train"]) > 1:
            filled.setdefault("documents", "file")
            filled["label_from"] = "folder"
        return filled
    if options.get("header", True) is False:
        return filled
    columns = _columns(path, form, options)
    filled["text"] = options.get("text") or _known(TEXTS, columns, path, "--text")
    if labelled and not named:
        filled["label"] = _known(LABELS, columns, path, "--label")
    if form in ("csv", "tsv") and "header" not in options:
        missing = _without_header(files, columns, filled, form)
        if missing:
            filled["header"] = dict.fromkeys(missing, False)
    return filled


def with_other_file(options: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The options with another file as the test split.

    Labels that lie in files of their own belong to the old one, and so do what a document is and
    where a label stands, where the other is a table: its column of labels is known by its name.
    Whether that has a header, where that is said split by split, is seen from its first line.
    """
    path = _first(file)
    for name in ("label", "target"):
        if options.get(f"{name}s") and _format(path, options) == "txt":
            raise DataError(
                f"{file} has no {name}s: those of the run stand in files of their own, line by "
                f"line. Give texts and {name}s in one file, a .jsonl or .csv with the columns text "
                f"and {name}."
            )
    is_table = _format(path, options) != "txt"
    elsewhere = any(options.get(name) is not None for name in ELSEWHERE)
    old = {"documents", "strip_label", *ELSEWHERE} if is_table else {"labels"}
    changed = {name: value for name, value in options.items() if name not in old}
    if changed.pop("targets", None):
        changed["fields"] = {**changed.get("fields", {}), "target": "target"}
    if is_table and elsewhere and _format(_first(options["train"]), options) == "txt":
        changed["label"] = _known_label(path, options)
    if isinstance(options.get("header"), Mapping) and _format(path, options) in ("csv", "tsv"):
        first = column_names(path, _form(_format(path, options), options))
        named = bool(_wanted(options) & set(first))
        changed["header"] = {**options["header"], "test": named}
    return {**changed, "test": file}


def _known_label(path: Path, options: Mapping[str, Any]) -> str:
    columns = _columns(path, _format(path, options), options)
    found = _by_name(LABELS, columns)
    if found is None:
        raise DataError(
            f"{path} has the columns {', '.join(columns) or 'none'}, and the run's data has no "
            "column of labels to go by. Name the one of the labels 'label'."
        )
    return found


def _wanted(options: Mapping[str, Any]) -> set[str]:
    text, label = options["text"], options.get("label")
    return {*([text] if isinstance(text, str) else text), *([label] if label else [])}


def _first(patterns: Any) -> Path:
    given = patterns[0] if isinstance(patterns, list | tuple) else patterns
    return find_files(Path(given))[0]


def _folders(patterns: Any) -> int:
    """In how many folders the files are."""
    given = patterns if isinstance(patterns, list | tuple) else [patterns]
    return len({path.parent for path in find_files([Path(one) for one in given])})


def _format(path: Path, options: Mapping[str, Any]) -> str:
    form = options.get("format", "auto")
    if form != "auto":
        return form
    return data_format(path, "txt" if options.get("targets") else None)


def _columns(path: Path, form: str, options: Mapping[str, Any]) -> Sequence[str]:
    if form in ("csv", "tsv"):
        return column_names(path, _form(form, options))
    if form == "parquet":
        return flat_columns(path)
    row = next(read_rows(path, _form(form, options)), None)
    if row is None or isinstance(row, BadLine):
        reason = f":{row.line}: {row.reason}. {row.fix}." if row else " has no example."
        raise DataError(f"{path}{reason}")
    return list(row[1])


def _form(form: str, options: Mapping[str, Any]) -> Form:
    return Form(
        format=form,
        encoding=options.get("encoding", "utf-8"),
        delimiter=options.get("delimiter"),
        quoting=options.get("quoting", "auto"),
        header=True,
        columns=(),
        wanted=(),
        labels=(),
        longest=options.get("longest_line") or attrs.fields(FilesConfig).longest_line.default,
    )


def _known(names: Sequence[str], columns: Sequence[str], path: Path, option: str) -> str:
    found = _by_name(names, columns)
    if found is None:
        others = (one for one in DELIMITERS if len(columns) == 1 and one in columns[0])
        other = next(others, None)
        step = (
            f"The fields seem to be parted by {other!r}: --data 'delimiter={as_toml(other)}'."
            if other
            else f"Say which one with {option}."
        )
        raise DataError(f"{path} has the columns {', '.join(columns) or 'none'}. {step}")
    return found


def _by_name(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """The first of the usual names that is a column's."""
    by_folded = {column.lower(): column for column in columns}
    return next((by_folded[name] for name in names if name in by_folded), None)


def _without_header(
    files: Mapping[str, Path], columns: Sequence[str], options: Mapping[str, Any], form: str
) -> list[str]:
    """Splits whose first line has as many fields as train's header, and none of its names."""
    wanted = _wanted(options)
    missing = []
    for split, path in files.items():
        if split == "train" or _format(path, options) != form:
            continue
        first = column_names(path, _form(form, options))
        if len(first) == len(columns) and not wanted & set(first):
            missing.append(split)
    return missing
