"""What the `files` source reads: forms, packings, columns, labels, encodings, line numbers."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from loomlm.plugin import DataError, Example
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

ROWS = [("a storm, a flood", "weather"), ('the "cup" final', "sport"), ("Suppe für zwei", "food")]


def read(split: str = "train", **options: Any) -> list[Example]:
    return list(Files(FilesConfig(**options)).examples(split))


def pairs(examples: list[Example]) -> list[tuple[str, Any]]:
    return [(example.text, example.label) for example in examples]


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def contents(form: str) -> bytes:
    """ROWS in a form, with columns text and label."""
    if form == "csv":
        fields = [[f'"{field.replace(chr(34), chr(34) * 2)}"' for field in row] for row in ROWS]
        lines = ["text,label", *(",".join(row) for row in fields)]
    elif form == "tsv":
        lines = ["text\tlabel", *("\t".join(row) for row in ROWS)]
    else:
        lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("ending", "pack"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_a_table_in_any_form_and_packing(form, ending, pack):
    path = write(f"train.{form}{ending}", pack(contents(form)))
    assert pairs(read(train=path, label="label")) == ROWS


@pytest.mark.parametrize("name", ["data", "data.2024", "data.dat.gz"])
def test_a_form_that_the_name_does_not_say_is_asked_for_and_can_be_set(name):
    pack = gzip.compress if name.endswith(".gz") else bytes
    path = write(name, pack(contents("tsv")))
    with pytest.raises(DataError, match=r"does not say its form\. Set data\.format"):
        read(train=path, label="label")
    assert pairs(read(train=path, label="label", format="tsv")) == ROWS


def test_parquet():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = {"label": [label for _, label in ROWS], "id": [7, 8, 9], "text": [t for t, _ in ROWS]}
    parquet.write_table(pyarrow.table(table), "train.parquet")
    examples = read(train=Path("train.parquet"), label="label")
    assert pairs(examples) == ROWS
    assert [example.place for example in examples] == [f"train.parquet:{n}" for n in (1, 2, 3)]
    assert pairs(read(train=Path("train.parquet"), text=("label", "text"))) == [
        (f"{label} {text}", None) for text, label in ROWS
    ]


def test_a_txt_file_has_an_example_a_line_and_its_blank_lines_are_left_out():
    path = write("train.txt", "one\n\n \t\n  two\r\nthree")
    examples = read(train=path)
    assert pairs(examples) == [("one", None), ("  two", None), ("three", None)]
    assert [example.place for example in examples] == [f"train.txt:{n}" for n in (1, 4, 5)]


def test_globs_are_sorted_and_lists_keep_their_order():
    for name in ("b/2.txt", "b/10.txt", "a/9.txt", "a/deep/1.txt"):
        write(name, f"{name}\n")
    (Path("b") / "3.txt").mkdir()
    files = [Path("b/*.txt"), Path("a/**/*.txt")]
    assert [example.text for example in read(train=tuple(files))] == [
        "b/10.txt",
        "b/2.txt",
        "a/9.txt",
        "a/deep/1.txt",
    ]


def test_brackets_in_the_name_of_a_folder_or_file_are_no_pattern():
    write("[news] 1/a.txt", "one\n")
    write("[news] 1/b[0].txt", "two\n")
    assert [e.text for e in read(train=Path("[news] 1/*.txt").absolute())] == ["one", "two"]
    assert [e.text for e in read(train=Path("[news] 1/b[0].txt"))] == ["two"]


def test_several_text_columns_are_joined_by_a_space_in_the_order_given():
    path = write("train.csv", "title,id,body\nRain,7,today\n")
    assert pairs(read(train=path, text=("body", "title"), label="id")) == [("today Rain", "7")]


@pytest.mark.parametrize(("labels", "first"), [((0, 1, 2), 0), ((1, 2, 3), 1)])
def test_label_names_count_from_0_or_from_1_as_the_training_data_does(labels, first):
    write("names", "weather\nsport\nfood\n\n")
    train = write("train.csv", "text,label\n" + "".join(f"x,{n}\n" for n in reversed(labels)))
    test = write("test.jsonl", f'{{"text": "x", "label": {first + 1}}}\n')
    options = {"train": train, "test": test, "label": "label", "label_names": Path("names")}
    assert [e.label for e in read(**options)] == ["food", "sport", "weather"]
    assert [e.label for e in read("test", **options)] == ["sport"]


def test_lists_of_label_numbers_count_from_0_too():
    names = write("names.txt", "weather\nsport\n")
    train = write("train.jsonl", '{"text": "x", "label": [1]}\n{"text": "x", "label": [0, 1]}\n')
    labels = [e.label for e in read(train=train, label="label", label_names=names)]
    assert labels == [("sport",), ("weather", "sport")]


def test_labels_of_jsonl_may_be_lists_numbers_and_booleans():
    rows = [["a", "b"], [], ["c"]]
    path = write("many.jsonl", "\n".join(json.dumps({"text": "x", "label": r}) for r in rows))
    assert [e.label for e in read(train=path, label="label")] == [("a", "b"), (), ("c",)]
    for values, labels in (([3, 1.0, 0.5], ["3", "1", "0.5"]), ([True, False], ["true", "false"])):
        lines = "\n".join(json.dumps({"text": "x", "label": value}) for value in values)
        found = read(train=write("one.jsonl", lines), label="label")
        assert [example.label for example in found] == labels


def test_labels_in_a_file_of_their_own():
    train = write("train.txt.gz", gzip.compress(b"one\n\ntwo\n"))
    labels = write("train.label", "pos\r\n\r\n neg \r\n\r\n")
    examples = read(train=train, labels={"train": labels})
    assert pairs(examples) == [("one", "pos"), ("two", "neg")]
    assert examples[1].place == "train.txt.gz:3"


def test_labels_in_a_file_of_their_own_may_be_numbers_of_names():
    train, labels = write("train.txt", "one\ntwo\n"), write("train.label", "1\n0\n")
    names = write("names", "neg\npos\n")
    assert pairs(read(train=train, labels={"train": labels}, label_names=names)) == [
        ("one", "pos"),
        ("two", "neg"),
    ]


def test_a_test_file_without_header_has_the_columns_of_the_training_file():
    train = write("train.csv", "label,text\nsport,a match\n")
    test = write("test.csv", "food,a soup\n")
    options: dict[str, Any] = {"train": train, "test": test, "label": "label"}
    header = {"test": False}
    assert pairs(read("test", **options, header=header)) == [("a soup", "food")]
    assert pairs(read("train", **options, header=header)) == [("a match", "sport")]


def test_columns_name_the_fields_of_files_without_header():
    train = write("train.csv", "3,Rain,today\n")
    options = {"columns": ("class", "title", "body"), "header": False}
    assert pairs(read(train=train, text=("title", "body"), label="class", **options)) == [
        ("Rain today", "3")
    ]


def test_delimiter_and_quoting():
    path = write("train.csv", 'text|label\n5" pipe, "new"|tool\n')
    assert pairs(read(train=path, label="label", delimiter="|", quoting=False)) == [
        ('5" pipe, "new"', "tool")
    ]
    path = write("train.tsv", 'text\tlabel\n"a\tb"\tc\n')
    assert pairs(read(train=path, label="label", quoting=True)) == [("a\tb", "c")]


def test_quotes_are_part_of_the_text_in_tsv():
    path = write("train.tsv", 'text\tlabel\n"open\tx\r\n5" disk\rdrive\ty\r\n')
    assert pairs(read(train=path, label="label")) == [('"open', "x"), ('5" disk\rdrive', "y")]


def test_places_are_the_lines_where_rows_begin():
    path = write("train.csv", 'text,label\n\n"one\nline\n\n",a\r\ntwo,b\n"three\r\n",c\nfour,d\n')
    examples = read(train=path, label="label")
    assert pairs(examples)[0] == ("one\nline\n\n", "a")
    assert pairs(examples)[2] == ("three\r\n", "c")
    assert [e.place for e in examples] == [f"train.csv:{n}" for n in (3, 7, 8, 10)]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_a_byte_order_mark_and_windows_line_ends_leave_no_trace(form):
    content = b"\xef\xbb\xbf" + contents(form).replace(b"\n", b"\r\n")
    assert pairs(read(train=write(f"train.{form}", content), label="label")) == ROWS


@pytest.mark.parametrize("form", ["csv", "tsv"])
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig", "cp500"]
)
def test_other_encodings(form, encoding):
    content = contents(form).decode().encode(encoding)
    path = write(f"train.{form}", content)
    assert pairs(read(train=path, label="label", encoding=encoding)) == ROWS


def test_control_characters_are_part_of_the_text():
    text = "a\x01b\x85c\u2028d\x0ce"
    write("train.csv", f"text\n{text}\n")
    write("train.tsv", f"text\n{text}\n")
    write("train.txt", f"{text}\n")
    for form in ("csv", "tsv", "txt"):
        assert [e.text for e in read(train=Path(f"train.{form}"))] == [text]


def test_half_a_surrogate_pair_in_json_is_left_to_the_tokenizer():
    path = write("train.jsonl", '{"text": "\\ud83d\\ude00 \\ud83d"}\n')
    assert [e.text for e in read(train=path)] == ["\U0001f600 \ud83d"]


def test_a_nul_that_json_writes_out_is_part_of_the_text():
    path = write("train.jsonl", '{"text": "a\\u0000b"}\n')
    assert [e.text for e in read(train=path)] == ["a\0b"]


def test_a_huge_field_is_read_whole():
    text = "word " * 400_000
    assert read(train=write("train.csv", f'text\n"{text}"\n'))[0].text == text


def test_splits_are_those_that_are_given():
    path = write("a.txt", "x\n")
    assert Files(FilesConfig(train=path, test=path)).splits() == ("train", "test")
    assert Files(FilesConfig(train=path, validation=path)).splits() == ("train", "validation")
