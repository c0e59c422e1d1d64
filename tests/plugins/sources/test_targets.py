"""Text files beside which others have what is to be written, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomlm.plugin import DataError
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files


def source(german: str, english: str, **keys) -> Files:
    Path("train.de").write_text(german)
    Path("train.en").write_text(english)
    targets = keys.pop("targets", {"train": Path("train.en")})
    return Files(FilesConfig(train=Path("train.de"), targets=targets, **keys))


def pairs(files: Files) -> list[tuple[str, str]]:
    return [(example.text, example.extra["target"]) for example in files.examples("train")]


def test_lines_of_one_number_belong_together():
    found = pairs(source("eins\nzwei\n\ndrei\n", "one\ntwo\n\nthree"))

    assert found == [("eins", "one"), ("zwei", "two"), ("drei", "three")]


def test_labels_may_stand_beside_them():
    Path("train.labels").write_text("x\ny\n")
    files = source("eins\nzwei\n", "one\ntwo\n", labels={"train": Path("train.labels")})

    assert [(e.label, e.extra["target"]) for e in files.examples("train")] == [
        ("x", "one"),
        ("y", "two"),
    ]


@pytest.mark.parametrize(
    ("german", "english", "said"),
    [
        ("eins\nzwei\n", "one\n", r"train.de:2: the targets have ended before the text"),
        ("eins\n", "one\ntwo\n", r"train.en:2: the text has ended before the targets"),
        ("eins\n\n", "one\ntwo\n", r"train.de:2: a blank line, with a target in train.en:2"),
        ("eins\nzwei\n", "one\n \n", r"train.de:2: a text without a target, train.en:2 is blank"),
    ],
)
def test_lines_that_do_not_belong_together_are_named(german, english, said):
    with pytest.raises(DataError, match=said):
        pairs(source(german, english))


def test_a_line_without_a_target_can_be_skipped():
    assert pairs(source("eins\nzwei\n", "one\n\n", on_bad_line="skip")) == [("eins", "one")]


def test_a_split_without_targets_is_named():
    Path("val.de").write_text("drei\n")
    files = source("eins\n", "one\n", validation=Path("val.de"))

    with pytest.raises(DataError, match=r"data.targets names no file for validation"):
        list(files.examples("validation"))


def test_targets_of_a_table_are_a_column():
    Path("train.csv").write_text("text,english\neins,one\n")
    Path("train.en").write_text("one\n")
    keys = {"train": Path("train.csv"), "targets": {"train": Path("train.en")}}

    with pytest.raises(
        DataError, match=r'column of targets with data.fields = \{ target = "..." \}'
    ):
        list(Files(FilesConfig(**keys)).examples("train"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"targets": {"trian": Path("x")}}, "targets names 'trian'"),
        ({"fields": {"target": "english"}}, "each say what is written"),
        ({"documents": "file"}, "targets has one for each line"),
    ],
)
def test_what_cannot_be_meant_is_said(keys, said):
    with pytest.raises(ValueError, match=said):
        source("eins\n", "one\n", **keys)


def test_other_targets_are_other_data():
    before = source("eins\n", "one\n").fingerprint()

    assert source("eins\n", "One\n").fingerprint() != before
    assert source("eins\n", "one\n").fingerprint() == before
