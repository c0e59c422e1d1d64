"""What is one example of a txt file: a line, a paragraph, the file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest

from loomlm.plugin import DataError
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

from .conftest import read, refused, write

POEM = "\n  One line,\r\nand another. \n \t\r\n\nThe last,\nwithout an end"
UNITS = ("line", "paragraph", "file")


def texts(**options) -> list[tuple[str, str]]:
    return [(example.text, example.place) for example in read(**options)]


def test_a_paragraph_ends_at_a_blank_line_and_keeps_its_lines():
    assert texts(train=write("poem.txt", POEM), documents="paragraph") == [
        ("  One line,\nand another. ", "poem.txt:2"),
        ("The last,\nwithout an end", "poem.txt:6"),
    ]


def test_a_file_is_one_example_with_all_that_is_in_it():
    whole = POEM.replace("\r\n", "\n")
    assert texts(train=write("poem.txt", POEM), documents="file") == [(whole, "poem.txt:1")]
    write("poem2.txt", b"\xef\xbb\xbf" + POEM.encode() + b"\r\n\r\n")
    assert texts(train=Path("poem*.txt"), documents="file") == [
        (whole, "poem.txt:1"),
        (f"{whole}\n\n", "poem2.txt:1"),
    ]


@pytest.mark.parametrize(("unit", "count"), [("line", 4), ("paragraph", 2), ("file", 1)])
@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_packed_files(unit, count, ending, pack):
    plain = read(train=write("poem.txt", POEM), documents=unit)
    packed = read(train=write(f"poem.txt{ending}", pack(POEM.encode())), documents=unit)
    assert [example.text for example in packed] == [example.text for example in plain]
    assert len(packed) == count


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("content", ["", "\n", " \r\n\t\n"])
def test_nothing_but_blanks_is_no_example(unit, content):
    write("a.txt", "text\n")
    write("b.txt", content)
    assert refused(train=Path("?.txt"), documents=unit) == (
        "b.txt has no example. Take it out, or check that it is whole."
    )


@pytest.mark.parametrize(
    ("unit", "kept"),
    [
        ("line", ["one", "three", "five"]),
        ("paragraph", ["one\nthree", "five"]),
        ("file", ["one\nthree\n\nfive\n"]),
    ],
)
def test_a_line_that_is_not_of_the_encoding(unit, kept):
    path = write("a.txt", b"one\ntw\xff\nthree\n\n\xff\nfive\n")
    assert refused(train=path, documents=unit).startswith("a.txt:2: bytes that are not UTF-8.")
    source = Files(FilesConfig(train=path, documents=unit, on_bad_line="skip"))
    assert [example.text for example in source.examples("train")] == kept
    assert source.notes() == ("a.txt: 2 lines skipped that cannot be read, the first is line 2.",)


def test_a_text_of_bad_lines_alone_is_no_example():
    path = write("a.txt", b"\xff\n\xff\n\nlast\n")
    (example,) = read(train=path, documents="paragraph", on_bad_line="skip")
    assert (example.text, example.place) == ("last", "a.txt:4")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_a_table_has_no_documents(name):
    message = refused(train=write(name, "text\nx\n"), documents="paragraph")
    form = name.split(".")[1]
    assert message.startswith(f"data.documents is for txt files, and {name} is {form}")


def test_documents_have_no_labels_line_by_line():
    with pytest.raises(ValueError, match="documents is 'file', and labels has one for each line"):
        FilesConfig(train=Path("a.txt"), labels={"train": Path("b.txt")}, documents="file")


def test_a_table_to_evaluate_on_leaves_the_documents_of_the_old_file():
    write("a.csv", "text\nx\n")
    options = {"train": "a.txt", "documents": "file", "text": "text"}
    assert Files.with_file(options, str(write("b.txt", "x")))["documents"] == "file"
    assert "documents" not in Files.with_file(options, "a.csv")


@pytest.mark.parametrize("unit", ["line", "paragraph"])
def test_texts_are_given_before_the_rest_is_read(unit):
    texts = [os.urandom(500).hex() for _ in range(1000)]
    path = write("a.txt.gz", gzip.compress("\n\n".join(texts).encode())[:-100])
    examples = Files(FilesConfig(train=path, documents=unit)).examples("train")
    assert next(examples).text == texts[0]
    with pytest.raises(DataError, match="truncated archive"):
        list(examples)
