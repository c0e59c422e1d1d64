"""Config classes of the built-in data sources; nothing heavy."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from loomlm.plugin import key

SPLITS = ("train", "validation", "test")


@frozen
class LabelTable:
    """A table of labels: of files by their names, or of rows by a column that both have."""

    file: Path = key("a csv, tsv, jsonl or parquet file with a header")
    by: str = key(
        "its column that says what the label is of; a file's name is one from the table's folder "
        "on, or the name alone",
        "file_name",
    )
    label: str = key("its column of the label", "label")
    column: str | None = key(
        "column of the data whose value is looked for; without, the file's name is", None
    )


@frozen
class FilesConfig:
    """Files of examples."""

    train: Path | tuple[Path, ...] = key("files of the training split; globs are sorted")
    validation: Path | tuple[Path, ...] | None = key("files of the validation split", None)
    test: Path | tuple[Path, ...] | None = key("files of the test split", None)
    text: str | tuple[str, ...] = key("column of the text; several are joined by a space", "text")
    label: str | None = key("column of the label", None)
    pair: str | None = key("column of a second text, for tasks that read two", None)
    fields: Mapping[str, str] = key(
        'columns of further texts, by what a task calls them: { target = "english" }', dict
    )
    label_from: Literal["folder", "file", "path", "text"] | None = key(
        "where a label stands that has no column: the name of the file's folder, or of the file "
        "without its ending; with label_pattern also the file's path, or the text",
        None,
    )
    label_pattern: str | None = key(
        "a regular expression whose one group is the label, looked for in what label_from says, by "
        "default in the text",
        None,
    )
    strip_label: bool = key("take what label_pattern finds off the text", False)
    label_table: LabelTable | None = key("labels in a table of their own", None)
    format: Literal["auto", "txt", "csv", "tsv", "jsonl", "parquet", "conll", "squad"] = key(
        "form of the files; auto goes by the name's end, before .gz, .bz2 or .xz. conll: a word "
        "a line with its tag, a blank line behind each sentence; squad: SQuAD's JSON, 1.1 or 2.0",
        "auto",
    )
    empty_labels: bool = key(
        "whether an empty cell of the label's column says that a text has none of several labels; "
        "else it is a mistake",
        False,
    )
    word_column: int = key("for conll: the word's column, from 0 on; -1 is the last", 0)
    tag_column: int = key("for conll: the tag's column", -1)
    label_names: Path | None = key(
        "a file with a name a line, for labels that are numbers from 0 or from 1", None
    )
    labels: Mapping[str, Path] | None = key(
        "for txt: a file for each split with the label of each line", None
    )
    targets: Mapping[str, Path] | None = key(
        "for txt: a file for each split with what is to be written for each line, such as its "
        "translation",
        None,
    )
    documents: Literal["line", "paragraph", "file"] = key(
        "for txt: what one example is; paragraphs end at blank lines", "line"
    )
    header: bool | Mapping[str, bool] = key(
        "whether csv and tsv files begin with column names, for all splits or one by one", True
    )
    columns: tuple[str, ...] = key(
        "column names of files without a header; by default those of the train file", ()
    )
    delimiter: str | None = key("between fields; by default that of the format", None)
    quoting: bool | Literal["auto"] = key(
        'whether "..." may hold a delimiter; auto: in csv, not in tsv', "auto"
    )
    encoding: str = key("of the text in the files", "utf-8")
    on_bad_line: Literal["error", "skip"] = key(
        "what to do with a line that cannot be read, or a file without an example; skip counts",
        "error",
    )
    longest_line: int = key(
        "most bytes of a line, and of a row, paragraph or file that is one example; so much is "
        "held in memory",
        1 << 25,
        minimum=1,
    )

    def __attrs_post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ValueError(
                f"delimiter must be one character, no quote or line end; got {self.delimiter!r}"
            )
        for split in SPLITS:
            if getattr(self, split) == ():
                raise ValueError(f"{split} is an empty list; name its files")
        if self.text == ():
            raise ValueError("text is an empty list; name a column")
        by_line = {"labels": self.labels, "targets": self.targets}
        for name, value in by_line.items():
            if value is not None and self.documents != "line":
                raise ValueError(
                    f"documents is {self.documents!r}, and {name} has one for each line; "
                    'leave one of them out, or set documents = "line"'
                )
        _check_labels(self)
        _check_format(self)
        _check_extra(self.text, self.pair, self.fields)
        if self.targets is not None and "target" in self.fields:
            raise ValueError("targets and fields.target each say what is written; leave one out")
        for name, value in ({"header": self.header} | by_line).items():
            for split in value if isinstance(value, Mapping) else ():
                if split not in SPLITS:
                    raise ValueError(f"{name} names {split!r}; splits are {', '.join(SPLITS)}")


def _check_format(config: FilesConfig) -> None:
    """Raise ValueError for keys that a form with columns of its own has no use for."""
    if config.format not in ("conll", "squad"):
        return
    what = "its tags" if config.format == "conll" else "its questions and answers"
    names = ("label", "labels", "label_from", "label_pattern", "label_table", "pair", "fields")
    for name in (*names, "label_names"):
        if getattr(config, name):
            raise ValueError(f"{name} is for other files: format = {config.format!r} brings {what}")
    if config.text != "text":
        raise ValueError(f"text names a column, and format = {config.format!r} has its own")


def _check_labels(config: FilesConfig) -> None:
    """Raise ValueError for keys that do not say together where labels come from."""
    if config.empty_labels and config.label is None:
        raise ValueError("empty_labels is about the cells of a column; name it with label")
    names = ("label", "labels", "label_table", "label_from", "label_pattern")
    given = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    if len(given) > 1 and list(given) != ["label_from", "label_pattern"]:
        shown = (
            f"{name} = {value!r}" if isinstance(value, str) else name
            for name, value in given.items()
        )
        raise ValueError(
            f"{' and '.join(shown)} each say where labels come from; leave all but one out"
        )
    if config.label_pattern is None:
        if config.label_from in ("path", "text"):
            raise ValueError(
                f"label_from is {config.label_from!r}, which needs a label_pattern that says which "
                "part of it is the label"
            )
    else:
        _check_pattern(config.label_pattern)
    if config.strip_label and (
        config.label_pattern is None or config.label_from not in (None, "text")
    ):
        raise ValueError(
            "strip_label takes what label_pattern finds off the text; it needs a label_pattern "
            "that is looked for there"
        )


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError) as error:
        raise ValueError(f"label_pattern {pattern!r} is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(
            f"label_pattern {pattern!r} has {groups or 'no'} {'groups' if groups else 'group'}; "
            "the one group in parentheses is the label, and (?:...) is none"
        )


def _check_extra(text: str | tuple[str, ...], pair: str | None, fields: Mapping[str, str]) -> None:
    texts = (text,) if isinstance(text, str) else text
    if pair is not None and pair in texts:
        raise ValueError(f"pair is {pair!r}, which is the text too; name another column")
    if pair is not None and "pair" in fields:
        raise ValueError("pair and fields.pair each name a second text; leave one of them out")
    if "text" in fields:
        raise ValueError("fields.text cannot be: data.text names the column of the text")


@frozen
class HuggingFaceConfig:
    """A data set that `datasets.load_dataset` or `load_from_disk` reads."""

    path: str = key("hub id such as stanfordnlp/imdb, or a local folder")
    subset: str | None = key("name of the data set's configuration", None)
    revision: str | None = key("branch, tag or commit on the hub", None)
    text: str | tuple[str, ...] = key("column of the text; several are joined by a space", "text")
    label: str | None = key("column of the label; numbers become the data set's names", None)
    pair: str | None = key("column of a second text, for tasks that read two", None)
    fields: Mapping[str, str] = key(
        'columns of further texts, by what a task calls them: { target = "english" }', dict
    )
    train: str = key("the data set's split to train on", "train")
    validation: str | None = key("its validation split, where it has one", "validation")
    test: str | None = key("its test split, where it has one", "test")

    def __attrs_post_init__(self) -> None:
        if self.text == ():
            raise ValueError("text is an empty list; name a column")
        _check_extra(self.text, self.pair, self.fields)


@frozen
class PythonDocsConfig:
    """Python's own documentation: the docstrings of the standard library, and help()'s topics."""

    label: Literal["area"] | None = key(
        "area: a docstring's is the section of the library reference; without, raw text", None
    )


def extra_columns(config: FilesConfig | HuggingFaceConfig) -> dict[str, str]:
    """The columns of further texts, by their names in `Example.extra`."""
    pair = {} if config.pair is None else {"pair": config.pair}
    return {**pair, **config.fields}


def texts_by_line(config: FilesConfig | HuggingFaceConfig) -> tuple[str, ...]:
    """The further texts that stand in files of their own, line by line."""
    return ("target",) if isinstance(config, FilesConfig) and config.targets else ()
