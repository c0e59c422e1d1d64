"""The fingerprint changes when the examples may, and with nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fingerprint(**options: Any) -> str:
    return Files(FilesConfig(**options)).fingerprint()


def test_a_file_elsewhere_under_another_name_is_the_same_data():
    one, two = write("train.csv", "text\nx\n"), write("moved/other.csv", "text\nx\n")
    write("parts/only.csv", "text\nx\n")
    assert fingerprint(train=one) == fingerprint(train=two)
    assert fingerprint(train=one) == fingerprint(train=(two,))
    assert fingerprint(train=one) == fingerprint(train=Path("parts/*.csv"))


@pytest.mark.parametrize(
    "change",
    [
        {"text": ("text", "title")},
        {"text": "title"},
        {"label": "title"},
        {"format": "tsv"},
        {"header": False, "columns": ("text", "title")},
        {"delimiter": ";"},
        {"quoting": False},
        {"encoding": "latin-1"},
        {"on_bad_line": "skip"},
        {"documents": "file"},
        {"validation": Path("train.csv")},
        {"test": Path("train.csv")},
        {"train": (Path("train.csv"), Path("train.csv"))},
        {"label_names": Path("names")},
        {"labels": {"train": Path("names")}},
    ],
)
def test_what_the_config_means_counts(change):
    write("train.csv", "text,title\nx,y\n")
    write("names", "a\nb\n")
    options = {"train": Path("train.csv")}
    assert fingerprint(**{**options, **change}) != fingerprint(**options)


def test_a_name_that_says_another_form_or_packing_is_other_data():
    names = ("a.txt", "a.csv", "a.jsonl", "a.txt.gz")
    found = {fingerprint(train=write(name, gzip.compress(b"text\n"))) for name in names}
    assert len(found) == len(names)
    named = fingerprint(train=Path("a.csv"))
    assert named == fingerprint(train=Path("a.csv"), format="csv")


def test_a_file_of_labels_is_told_from_one_of_texts():
    text, labels = write("a.txt", "x\n"), write("b.txt", "y\n")
    assert fingerprint(train=(text, labels)) != fingerprint(train=text, labels={"train": labels})


def test_the_order_of_files_and_which_split_they_are_counts():
    one, two = write("1.txt", "x\n"), write("2.txt", "y\n")
    assert fingerprint(train=(one, two)) != fingerprint(train=(two, one))
    assert fingerprint(train=one, test=two) != fingerprint(train=one, validation=two)
    assert fingerprint(train=one, test=two) != fingerprint(train=two, test=one)
