"""Labels that stand in no column: in names of folders and files, in the text, in a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from loomlm.plugin import Example
from loomlm_sources.config import FilesConfig, LabelTable
from loomlm_sources.files import Files

from .conftest import kept, read, refused, write


def pairs(examples: list[Example]) -> list[tuple[str, Any]]:
    return [(example.text, example.label) for example in examples]


@pytest.fixture
def reviews() -> Path:
    """Folders as aclImdb has them; gives the pattern of the training files."""
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            for number in range(2):
                name = f"reviews/{split}/{label}/{number}_{7 + number}.txt"
                write(name, f"{split} {label}\n{number}")
    return Path("reviews/train/*/*.txt")


def test_a_label_is_the_name_of_the_folder(reviews):
    examples = read(train=reviews, documents="file", label_from="folder")
    assert pairs(examples) == [
        ("train neg\n0", "neg"),
        ("train neg\n1", "neg"),
        ("train pos\n0", "pos"),
        ("train pos\n1", "pos"),
    ]
    names = write("names", "bad\ngood\n")
    write("0/a.txt", "x")
    write("1/a.txt", "y")
    found = read(train=Path("[01]/a.txt"), label_from="folder", label_names=names)
    assert [example.label for example in found] == ["bad", "good"]


def test_a_label_is_the_name_of_the_file_without_its_endings():
    write("sport.news.txt", "a match\na goal\n")
    write("food.CSV", "text\na soup\n")
    files = (Path("sport.news.txt"), Path("food.CSV"))
    assert [e.label for e in read(train=files, label_from="file")] == ["sport.news"] * 2 + ["food"]


@pytest.mark.parametrize(
    ("label_from", "pattern", "labels"),
    [
        ("file", r"_(\d+)$", ["7", "8", "7", "8"]),
        ("folder", r"^(.)", ["n", "n", "p", "p"]),
        ("path", r"reviews/train/(\w+)/\d_8", None),
        ("path", r"train/(\w+)/", ["neg", "neg", "pos", "pos"]),
        (None, r"^train (\w+)", ["neg", "neg", "pos", "pos"]),
        ("text", r"(\d)$", ["0", "1", "0", "1"]),
    ],
)
def test_a_label_by_a_pattern(reviews, label_from, pattern, labels):
    options: dict[str, Any] = {"train": reviews, "documents": "file", "label_pattern": pattern}
    if labels is None:
        assert refused(**options, label_from=label_from) == (
            "reviews/train/neg/0_7.txt:1: label_pattern finds no label in the path "
            "'reviews/train/neg/0_7.txt'. Mend the line, or data.label_pattern, or set "
            'on_bad_line = "skip".'
        )
        assert kept(**options, label_from=label_from)[0] == ["train neg\n1", "train pos\n1"]
    else:
        assert [e.label for e in read(**options, label_from=label_from)] == labels


def test_what_the_pattern_finds_may_be_taken_off_the_text():
    path = write("a.txt", "__label__sport a match\nno label\n__label__food a soup\n")
    options: dict[str, Any] = {"train": path, "label_pattern": r"^__label__(\S+)\s+"}
    texts, (note,) = kept(**options, strip_label=True)
    assert texts == ["a match", "a soup"]
    assert "1 line skipped that cannot be read, the first is line 2." in note
    assert kept(**options)[0] == ["__label__sport a match", "__label__food a soup"]
    table = write("a.csv", "text\n__label__sport a match\n")
    assert pairs(read(**{**options, "train": table}, strip_label=True)) == [("a match", "sport")]


def test_labels_in_a_table_by_the_names_of_files(reviews):
    rows = ["file_name,label"]
    rows += [
        f"train/{label}/{n}_{7 + n}.txt,{label}{n}" for label in ("neg", "pos") for n in (0, 1)
    ]
    table = LabelTable(file=write("reviews/labels.csv", "\n".join(rows)))
    options: dict[str, Any] = {"documents": "file", "label_table": table}
    assert [e.label for e in read(train=reviews, **options)] == ["neg0", "neg1", "pos0", "pos1"]
    other = write("other.txt", "x")
    assert refused(train=other, **options).startswith(
        "other.txt:1: reviews/labels.csv has no label for 'other.txt'."
    )
    write("reviews/labels.csv", "file_name,label\n0_7.txt,x\n1_8.txt,y\n")
    assert [e.label for e in read(train=reviews, **options)] == ["x", "y", "x", "y"]


def test_labels_in_a_table_by_a_column():
    rows = "".join(f'{{"id": {number}, "text": "t"}}\n' for number in (1, 2, 3))
    train = write("a.jsonl", rows)
    labels = write("b.jsonl", '{"key": 2, "is": ["x", "y"]}\n{"key": 1, "is": ["z"]}\n')
    table = LabelTable(file=labels, by="key", label="is", column="id")
    options: dict[str, Any] = {"train": train, "label_table": table}
    assert refused(**options) == (
        "a.jsonl:3: b.jsonl has no label for '3'. Add it, or set on_bad_line = \"skip\"."
    )
    source = Files(FilesConfig(on_bad_line="skip", **options))
    assert [e.label for e in source.examples("train")] == [("z",), ("x", "y")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file_name,label\na.txt,x\na.txt,y\n", "b.csv:3: 'a.txt' has a label already. Keep one."),
        ("file_name,label\na.txt\n", "b.csv:2: 1 field, not 2."),
        ("file_name,label\na.txt,\n", "b.csv:2: the label is empty."),
        ("file_name,label\n", "b.csv has no label. Check that it is whole."),
        ("name,label\na.txt,x\n", "b.csv:1: there is no column 'file_name'"),
    ],
)
@pytest.mark.parametrize("option", ["error", "skip"])
def test_a_table_of_labels_that_cannot_be_read(content, message, option):
    table = LabelTable(file=write("b.csv", content))
    said = refused(train=write("a.txt", "x\n"), label_table=table, on_bad_line=option)
    assert said.startswith(message)


def test_a_second_text():
    path = write("a.tsv", "one\ttwo\tlabel\na b\tc d\tyes\n")
    (example,) = read(train=path, text="one", pair="two", label="label")
    assert (example.text, example.extra, example.label) == ("a b", {"pair": "c d"}, "yes")
    assert "there is no column 'tow'" in refused(train=path, text="one", pair="tow")
    lines = write("a.jsonl", '{"text": "a", "pair": null}\n')
    assert refused(train=lines, pair="pair").startswith("a.jsonl:1: 'pair' is null, not a text.")
    assert "a.txt is a txt file, which has no column 'two'. Take data.pair out" in refused(
        train=write("a.txt", "x\n"), pair="two"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label": "x", "label_from": "file"},
            "label = 'x' and label_from = 'file' each",
        ),
        ({"label": "x", "labels": {"train": Path("x")}}, "label = 'x' and labels each say where"),
        ({"label_pattern": "(a)", "labels": {}}, "labels and label_pattern = '(a)' each"),
        ({"label_table": LabelTable(file=Path("x")), "label": "x"}, "label = 'x' and label_table"),
        ({"label_from": "text"}, "label_from is 'text', which needs a label_pattern"),
        ({"label_from": "path"}, "label_from is 'path', which needs a label_pattern"),
        ({"label_pattern": "a("}, "label_pattern 'a(' is no regular expression: "),
        ({"label_pattern": "a"}, "label_pattern 'a' has no group; the one group in"),
        ({"label_pattern": "(a)(b)"}, "label_pattern '(a)(b)' has 2 groups; the one group in"),
        ({"strip_label": True}, "strip_label takes what label_pattern finds off the text"),
        (
            {"strip_label": True, "label_pattern": "(a)", "label_from": "file"},
            "strip_label takes what label_pattern finds off the text",
        ),
        ({"pair": "text"}, "pair is 'text', which is the text too"),
    ],
)
def test_keys_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FilesConfig(**{"train": Path("a.txt"), **options})


def test_what_labels_are_read_from_is_part_of_the_fingerprint(reviews):
    def both(**options: Any) -> tuple[str, str]:
        source = Files(FilesConfig(**{"train": reviews, "documents": "file", **options}))
        return source.fingerprint(), source.shards_fingerprint()

    before = {name: both(label_from=name) for name in ("folder", "file")}
    without = both()
    assert len({without[0], *(found for found, _ in before.values())}) == 3
    Path("reviews/train/neg").rename("reviews/train/bad")
    assert both() == without
    assert both(label_from="file") == before["file"]
    for one, other in zip(both(label_from="folder"), before["folder"], strict=True):
        assert one != other
    table = write("labels.csv", "file_name,label\n0_7.txt,x\n1_8.txt,y\n")
    first = both(label_table=LabelTable(file=table))
    write("labels.csv", "file_name,label\n0_7.txt,x\n1_8.txt,z\n")
    second = both(label_table=LabelTable(file=table))
    assert all(one != other for one, other in zip(first, second, strict=True))
