"""Config classes of the built-in data sources; nothing heavy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from loomlm.plugin import key

SPLITS = ("train", "validation", "test")


@frozen
class FilesConfig:
    """Files of examples."""

    train: Path | tuple[Path, ...] = key("files of the training split; globs are sorted")
    validation: Path | tuple[Path, ...] | None = key("files of the validation split", None)
    test: Path | tuple[Path, ...] | None = key("files of the test split", None)
    text: str | tuple[str, ...] = key("column of the text; several are joined by a space", "text")
    label: str | None = key("column of the label", None)
    format: Literal["auto", "txt", "csv", "tsv", "jsonl", "parquet"] = key(
        "form of the files; auto goes by the name's end, before .gz, .bz2 or .xz", "auto"
    )
    label_names: Path | None = key(
        "a file with a name a line, for labels that are numbers from 0 or from 1", None
    )
    labels: Mapping[str, Path] | None = key(
        "for txt: a file for each split with the label of each line", None
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
        "what to do with a line that cannot be read; skip counts them", "error"
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
        if self.labels is not None and self.documents != "line":
            raise ValueError(
                f"documents is {self.documents!r}, and labels has one for each line; "
                'leave one of them out, or set documents = "line"'
            )
        for name, value in (("header", self.header), ("labels", self.labels)):
            for split in value if isinstance(value, Mapping) else ():
                if split not in SPLITS:
                    raise ValueError(f"{name} names {split!r}; splits are {', '.join(SPLITS)}")


@frozen
class HuggingFaceConfig:
    """A data set that `datasets.load_dataset` or `load_from_disk` reads."""

    path: str = key("hub id such as stanfordnlp/imdb, or a local folder")
    subset: str | None = key("name of the data set's configuration", None)
    revision: str | None = key("branch, tag or commit on the hub", None)
    text: str | tuple[str, ...] = key("column of the text; several are joined by a space", "text")
    label: str | None = key("column of the label; numbers become the data set's names", None)
    train: str = key("the data set's split to train on", "train")
    validation: str | None = key("its validation split, where it has one", "validation")
    test: str | None = key("its test split, where it has one", "test")

    def __attrs_post_init__(self) -> None:
        if self.text == ():
            raise ValueError("text is an empty list; name a column")


@frozen
class PythonDocsConfig:
    """Python's own documentation: the docstrings of the standard library, and help()'s topics."""

    label: Literal["area"] | None = key(
        "area: a docstring's is the section of the library reference; without, raw text", None
    )
