"""Rows and labels that cannot be read: one DataError with the file, the line, the next step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

from .conftest import kept, read, refused, write


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "b"', "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ('["b"]', "a JSON array, not an object"),
        ("3", "a JSON number, not an object"),
        ("null", "a JSON null, not an object"),
        ('{"texts": "b"}', "there is no 'text'. Did you mean 'texts'?"),
        ('{"body": "b", "id": 3}', "there is no 'text'. The keys are: body, id."),
        ('{"text": null}', "'text' is null, not a text"),
        ('{"text": ["b"]}', "'text' is ['b'], not a text"),
        ("{}", "there is no 'text'. The keys are: none."),
    ],
)
def test_a_bad_line_of_jsonl(line, reason):
    path = write("train.jsonl", f'{{"text": "a"}}\n\n{line}\n{{"text": "c"}}\n')
    message = refused(train=path)
    assert message.startswith(f"train.jsonl:3: {reason}")
    assert message.endswith(', or set on_bad_line = "skip".')
    assert len(message) < 250
    assert kept(train=path)[0] == ["a", "c"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("null", "the label is empty"),
        ('" "', "the label is empty"),
        ('["a", null]', "the label is empty"),
        ('{"a": 1}', "the label is {'a': 1}"),
        ('"\\udc00"', "the label is '\\udc00'"),
    ],
)
def test_a_bad_label_of_jsonl(value, reason):
    path = write("train.jsonl", f'{{"text": "x", "label": {value}}}\n')
    assert refused(train=path, label="label").startswith(f"train.jsonl:1: {reason}. ")


def test_a_column_that_is_not_there_names_the_nearest_and_lists_them():
    path = write("train.csv", f"title,body,{'x' * 1000}\na,b,c\n")
    message = refused(train=path, text="titel")
    assert message.startswith(
        "train.csv:1: there is no column 'titel'; the columns are: title, body"
    )
    assert "Did you mean 'title'? Name it with data.text or data.label." in message
    assert "data.header = { test = false }" in message
    assert len(message) < 400


def test_two_columns_of_one_name():
    path = write("train.csv", "text,label,text\na,b,c\n")
    assert refused(train=path) == "train.csv:1: 2 columns are named 'text'. Rename one."
    assert read(train=path, text="label")[0].text == "b"


def test_a_key_that_an_object_has_twice():
    lines = ['{"text": "a", "id": 1, "id": 2}', '{"text": "b", "text": "c"}', '{"text": "d"}']
    path = write("train.jsonl", "\n".join(lines))
    assert refused(train=path) == (
        "train.jsonl:2: 'text' stands twice. Keep one of them, or set on_bad_line = \"skip\"."
    )
    assert kept(train=path)[0] == ["a", "d"]
    inner = '{"text": "a", "more": {"text": 1, "text": 2}}'
    assert [e.text for e in read(train=write("inner.jsonl", inner))] == ["a"]


@pytest.mark.parametrize(("delimiter", "shown"), [(";", '";"'), ("\t", '"\\t"'), ("|", '"|"')])
def test_a_header_with_another_delimiter_names_it(delimiter, shown):
    rows = [["text", "label"], ["a, b", "x"], ["c", "y"]]
    path = write("train.csv", "\n".join(delimiter.join(row) for row in rows))
    message = refused(train=path, label="label")
    assert message.startswith("train.csv:1: there is no column 'text'; the columns are: text")
    assert message.endswith(
        f"The fields seem to be parted by {delimiter!r}: set data.delimiter = {shown}."
    )
    assert len(read(train=path, label="label", delimiter=delimiter)) == 2


def test_rows_with_another_delimiter_than_the_header_name_it():
    path = write("train.csv", "text,label\na;x\nb,y\n")
    assert refused(train=path, label="label") == (
        "train.csv:2: 1 field, not 2. It has 2 parted by ';': check the delimiter, or set "
        'on_bad_line = "skip".'
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([3, "sport", 4], "the label 'sport' is a text, and 3 at train.jsonl:2 is a number."),
        (["x", 1.5], "the label 1.5 is a number, and 'x' at train.jsonl:2 is a text."),
        ([True, "no"], "the label 'no' is a text, and True at train.jsonl:2 is a truth value."),
        ([["a"], ["b", 3]], "the label 3 is a number, and 'a' at train.jsonl:2 is a text."),
    ],
)
def test_a_column_of_labels_of_two_types_is_refused_with_the_first_places(values, message):
    """Whether lines are skipped or not: which of the two types is wrong, nobody can tell."""
    rows = [json.dumps({"text": "t", "label": value}) for value in values]
    path = write("train.jsonl", "\n".join(["", *rows]))
    for option in ("error", "skip"):
        assert refused(train=path, label="label", on_bad_line=option) == (
            f"train.jsonl:3: {message} A column of labels has one type: mend it, or name another "
            "with data.label."
        )


def test_a_column_of_labels_has_one_type_over_all_files():
    write("1.jsonl", '{"text": "a", "label": 1}\n')
    write("2.jsonl", '{"text": "a", "label": "one"}\n')
    message = refused(train=Path("?.jsonl"), label="label")
    assert message.startswith("2.jsonl:1: the label 'one' is a text, and 1 at 1.jsonl:1 is a num")


def test_numbers_and_words_in_one_column_of_csv_are_noted():
    path = write("train.csv", "text,label\na,1\nb,2\nc,label\nd,2\n")
    source = Files(FilesConfig(train=path, label="label"))
    for _ in range(2):
        assert len(list(source.examples("train"))) == 4
        assert source.notes() == (
            "Some labels are numbers ('1', first at train.csv:2), and some words ('label', first "
            "at train.csv:4).",
        )
    words = write("words.csv", "text,label\na,one\nb,two\n")
    source = Files(FilesConfig(train=words, label="label"))
    list(source.examples("train"))
    assert source.notes() == ()


@pytest.mark.parametrize("form", ["csv", "tsv"])
@pytest.mark.parametrize(("fields", "reason"), [(["b"], "1 field"), (["b"] * 3, "3 fields")])
def test_a_row_with_too_few_or_too_many_fields(form, fields, reason):
    between = {"csv": ",", "tsv": "\t"}[form]
    rows = [["text", "label"], ["a", "x"], fields, ["c", "z"]]
    path = write(f"train.{form}", "\n".join(between.join(row) for row in rows))
    message = refused(train=path, label="label")
    assert message.startswith(f"train.{form}:3: {reason}, not 2. Check the delimiter")
    texts, (note,) = kept(train=path, label="label")
    assert texts == ["a", "c"]
    assert "1 line skipped" in note


def test_a_row_with_quotes_astray():
    path = write("train.csv", 'text,label\na,x\n"b" or not,y\nc,z\n')
    assert refused(train=path, label="label") == (
        "train.csv:3: not csv: a closing quote with more behind it. If quotes are part of the "
        'text, set quoting = false, or set on_bad_line = "skip".'
    )
    assert kept(train=path, label="label")[0] == ["a", "c"]


def test_a_quote_that_is_never_closed_counts_all_the_lines_that_it_takes():
    path = write("train.csv", 'text\na\n"b\nc\nd\n')
    message = refused(train=path)
    assert message.startswith("train.csv:3: not csv: a quote is opened and never closed.")
    texts, (note,) = kept(train=path)
    assert texts == ["a"]
    assert "3 lines skipped that cannot be read, the first is line 3." in note


@pytest.mark.parametrize("header", [b'text,"label\nx,y\n', b"text,l\xe9\nx,y\n"])
def test_a_header_that_cannot_be_read_is_never_skipped(header):
    path = write("train.csv", header)
    for option in ("error", "skip"):
        assert refused(train=path, on_bad_line=option).startswith("train.csv:1: ")


def test_files_without_header_want_names_for_their_fields():
    path = write("train.csv", "a match,sport\n")
    assert refused(train=path, header=False) == (
        "train.csv has no header. Name its columns: data.columns = [...]."
    )
    message = refused(train=path, header=False, columns=("texts", "label"))
    assert message.startswith("data.columns has no 'text'. Did you mean 'texts'?")


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ("a\nb\n", "x\n", "train.txt:2: the labels have ended before the text. "),
        ("a\n", "x\ny\n", "train.label:2: the text has ended before the labels. "),
        ("a\n\nb\n", "x\ny\nz\n", "train.txt:2: a blank line, with a label in train.label:2. "),
        ("a\nb\n", "x\n\n", "train.txt:2: a text without a label, train.label:2 is blank. "),
        ("a\nb\n", b"x\n\xff\n", "train.label:2: bytes that are not UTF-8. "),
        ("", "", "train.txt has no example. "),
    ],
)
def test_labels_that_do_not_fit_the_lines_of_the_text(texts, labels, message):
    options = {
        "train": write("train.txt", texts),
        "labels": {"train": write("train.label", labels)},
    }
    assert refused(**options).startswith(message)


def test_a_skipped_line_shifts_no_label():
    train = write("train.txt", b"a\n\xff\nc\n\ne\n")
    labels = write("train.label", "x\ny\nz\nv\nw\n")
    source = Files(FilesConfig(train=train, labels={"train": labels}, on_bad_line="skip"))
    assert [(e.text, e.label) for e in source.examples("train")] == [
        ("a", "x"),
        ("c", "z"),
        ("e", "w"),
    ]
    assert "train.txt: 2 lines skipped" in source.notes()[0]


def test_a_label_column_and_a_labels_file_each_have_their_forms():
    text, table = write("train.txt", "a\n"), write("train.csv", "text,label\na,x\n")
    assert "has no column 'label'. Take data.label out" in refused(train=text, label="label")
    assert "data.labels is for txt files, and train.csv is csv" in refused(
        train=table, labels={"train": text}
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("one\ntwo\n", "train.csv:3: the label '3' is no number from 1 to 2 of label_names"),
        ("one\n", "train.csv:3: the label '3' is no number from 1 to 1 of label_names"),
        ("one\n\nthree\n", "names:2: a blank line. Each line has one label's name."),
        (b"one\n\xff\nthree\n", "names:2: bytes that are not UTF-8. "),
        ("", "names has no name. Write a label's name on each line."),
    ],
)
def test_label_names_that_do_not_fit(names, message):
    train = write("train.csv", "text,label\na,1\nb,3\n")
    path = write("names", names)
    assert refused(train=train, label="label", label_names=path).startswith(message)


def test_notes_count_a_split_once_however_often_it_is_read():
    path = write("train.jsonl", '{"text": "a"}\n3\n')
    source = Files(FilesConfig(train=path, on_bad_line="skip"))
    assert source.notes() == ()
    for _ in range(2):
        list(source.examples("train"))
    assert source.notes() == (
        "train.jsonl: 1 line skipped that cannot be read, the first is line 2.",
    )


def test_what_was_skipped_is_counted_with_the_first_lines():
    lines = ['{"text": "a"}' if number % 3 else "bad" for number in range(1, 91)]
    path = write("train.jsonl", "\n".join(lines))
    write("test.jsonl", '{"text": "a"}\n')
    source = Files(FilesConfig(train=path, test=Path("test.jsonl"), on_bad_line="skip"))
    assert source.skipped() == {}
    for split in ("train", "test", "train"):
        list(source.examples(split))
        assert source.skipped() == {"train.jsonl": (30, tuple(range(3, 63, 3)))}


def test_a_file_of_bad_lines_only_is_refused_though_they_are_skipped():
    path = write("train.jsonl", "1\n2\n")
    assert refused(train=path, on_bad_line="skip").startswith("train.jsonl has no example.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": "||"}, "delimiter must be one character"),
        ({"delimiter": "\n"}, "delimiter must be one character"),
        ({"header": {"tset": False}}, "header names 'tset'"),
        ({"labels": {"tset": Path("x")}}, "labels names 'tset'"),
        ({"test": ()}, "test is an empty list"),
        ({"text": ()}, "text is an empty list"),
    ],
)
def test_keys_that_cannot_be_meant(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FilesConfig(**{"train": Path("train.csv"), **options})
