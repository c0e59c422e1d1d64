"""Files and encodings that cannot be read: one DataError with the file, the line, the next step."""

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

from .conftest import kept, read, refused, write


def test_a_missing_file_names_the_nearest():
    write("train.csv", "text\nx\n")
    assert refused(train=Path("trian.csv")) == (
        "There is no file trian.csv. Did you mean 'train.csv'?"
    )
    assert refused(train=Path("nowhere/zzz.csv")) == (
        "There is no file nowhere/zzz.csv. Check the path."
    )


def test_a_folder_in_place_of_a_file():
    Path("corpus").mkdir()
    assert refused(train=Path("corpus")) == (
        "corpus is a folder. Name its files, e.g. corpus/*.csv."
    )


def test_a_glob_that_fits_no_file():
    (Path("corpus") / "inner.txt").mkdir(parents=True)
    for pattern in ("corpus/*.csv", "corpus/*.txt", "nowhere/*.txt"):
        assert refused(train=Path(pattern)) == (
            f"No file fits {pattern}. Check the folder and the pattern."
        )


@pytest.mark.skipif(os.name == "nt", reason="permissions as on POSIX")
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may read all")
def test_a_file_or_folder_that_may_not_be_read():
    path = write("train.csv", "text\nx\n")
    path.chmod(0)
    with pytest.raises(DataError, match=r"^train\.csv cannot be read: Permission denied"):
        Files(FilesConfig(train=path)).fingerprint()
    assert "train.csv cannot be read: Permission denied" in refused(train=path)
    folder = Path("closed")
    folder.mkdir(mode=0)
    assert "Permission denied" in refused(train=folder / "train.csv")


def test_a_path_that_the_system_refuses():
    assert "cannot be read: File name too long" in refused(train=Path("x" * 5000))


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt"])
def test_an_empty_file(form):
    path = write(f"train.{form}", "")
    message = refused(train=path)
    assert message.startswith(f"train.{form} ")
    assert message.endswith("Take it out, or check that it is whole.")


def test_a_file_with_a_header_only_among_others():
    write("a.csv", "text\nx\n")
    write("b.csv", "text\n\n")
    assert refused(train=Path("?.csv")).startswith("b.csv has no example.")


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_an_archive_that_ends_too_early_or_is_none(ending, pack):
    packed = pack(os.urandom(3000).hex().encode())
    message = refused(train=write(f"train.txt{ending}", packed[:-20]))
    assert message.startswith(f"train.txt{ending} is a damaged or truncated archive: ")
    assert message.endswith("Fetch it again.")
    message = refused(train=write(f"none.txt{ending}", "plain text\n"))
    assert message.startswith(f"none.txt{ending} is no {ending} archive: ")
    assert message.endswith(f"or take {ending} off its name if it is not compressed.")


def test_a_damaged_archive():
    packed = bytearray(gzip.compress(os.urandom(3000).hex().encode()))
    packed[1000:1100] = bytes(100)
    assert "train.txt.gz is a damaged or truncated archive: " in refused(
        train=write("train.txt.gz", bytes(packed))
    )


def test_a_parquet_file_that_is_none_or_truncated():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    message = refused(train=write("train.parquet", "no parquet"))
    assert message.startswith("train.parquet cannot be read as parquet: ")
    parquet.write_table(pyarrow.table({"text": ["x"] * 1000}), "whole.parquet")
    cut = write("cut.parquet", Path("whole.parquet").read_bytes()[:-50])
    assert "cut.parquet cannot be read as parquet" in refused(train=cut)


def test_parquet_without_the_column_with_a_gap_and_with_bytes_that_are_no_text():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    gap = pyarrow.table({"text": ["x", None], "label": [1.0, float("nan")]})
    parquet.write_table(gap, "train.parquet")
    path = Path("train.parquet")
    message = refused(train=path, label="labels")
    assert (
        "there is no column 'labels'; the columns are: text, label. Did you mean 'label'" in message
    )
    assert "header" not in message
    assert "train.parquet:2: 'text' is null, not a text" in refused(train=path)
    assert kept(train=path)[0] == ["x"]
    parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [1.0, float("nan")]}), path)
    assert "train.parquet:2: the label is empty" in refused(train=path, label="label")
    latin = pyarrow.array([b"\xe9"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": latin}), path)
    assert "train.parquet cannot be read as parquet: " in refused(train=path)


@pytest.fixture
def nested():
    """A parquet file with structs and lists, two row groups of three rows."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {
            "id": number,
            "body": {"text": f"text {number}", "of": {"topic": f"topic {number % 2}"}},
            "tags": [{"name": "a"}],
            "topics": ["b", "c"],
            "parts": ["d"],
        }
        for number in range(6)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), "a.parquet", row_group_size=3)
    return Path("a.parquet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "body"}, "the column 'body' is struct<text: string, of: struct<"),
        ({"text": "parts"}, "the column 'parts' is list<element: string>, not text."),
        (
            {"text": "body.text", "label": "tags"},
            "the column 'tags' is list<element: struct<name: string>>, not a label.",
        ),
        (
            {"text": "body.text", "label": "body.of"},
            "the column 'body.of' is struct<topic: string>",
        ),
    ],
)
def test_nested_columns_of_parquet_are_named_with_their_type(nested, options, message):
    said = refused(train=nested, **options)
    assert said.startswith(f"a.parquet: {message}")
    assert "Its flat columns are: id, body.text, body.of.topic." in said


def test_fields_within_columns_of_parquet_have_dotted_names(nested):
    examples = read(train=nested, text=("body.text",), label="body.of.topic")
    assert [(e.text, e.label) for e in examples[:2]] == [
        ("text 0", "topic 0"),
        ("text 1", "topic 1"),
    ]
    assert read(train=nested, text="body.text", label="topics")[0].label == ("b", "c")
    message = refused(train=nested, text="body.texts")
    assert "there is no column 'body.texts'" in message
    assert "Did you mean 'body.text'?" in message


def test_fields_within_objects_of_jsonl_have_dotted_names():
    path = write("a.jsonl", '{"body": {"text": "x", "of": {"topic": 3}}, "a.b": "y"}\n')
    (example,) = read(train=path, text=("body.text", "a.b"), label="body.of.topic")
    assert (example.text, example.label) == ("x y", "3")
    assert "there is no 'body.texts'. The keys are: body, a.b." in refused(
        train=path, text="body.texts"
    )


def test_an_encoding_that_nobody_knows():
    path = write("train.txt", "x\n")
    for encoding in ("utf-9", "base64", "", "utf\0"):
        message = refused(train=path, encoding=encoding)
        assert message.startswith(f"There is no encoding {encoding!r}. Set data.encoding to utf-8")


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt"])
def test_bytes_that_are_not_utf8(form):
    header = {"csv": "text\n", "tsv": "text\n"}.get(form, "")
    lines = ['{"text": "a"}', '{"text": "\xe9"}'] * 2 if form == "jsonl" else ["a", "\xe9"] * 2
    path = write(f"train.{form}", (header + "\n".join(lines)).encode("latin-1"))
    first = 3 if header else 2
    assert refused(train=path) == (
        f"train.{form}:{first}: bytes that are not UTF-8. "
        'Set encoding = "latin-1" or so, or set on_bad_line = "skip".'
    )
    assert kept(train=path) == (
        ["a", "a"],
        (f"train.{form}: 2 lines skipped that cannot be read, the first is line {first}.",),
    )
    assert [e.text for e in read(train=path, encoding="latin-1")] == ["a", "é", "a", "é"]


@pytest.mark.parametrize(
    ("encoding", "codec", "mark", "bad"),
    [
        ("utf-8-sig", "utf-8", b"\xef\xbb\xbf", b"\xff"),
        ("utf-16", "utf-16-le", b"\xff\xfe", b"\x00\xdc"),
        ("utf-32-be", "utf-32-be", b"", b"\xff\xff\xff\xff"),
        ("shift_jis", "shift_jis", b"", b"\xff"),
    ],
)
def test_one_bad_line_loses_no_other_in_any_encoding(encoding, codec, mark, bad):
    lines = [f"line {number}" for number in range(1, 2000)]
    before, after = (
        "".join(f"{line}\n" for line in part).encode(codec) for part in (lines[:500], lines[500:])
    )
    path = write("train.txt", mark + before + bad + after)
    assert refused(train=path, encoding=encoding).startswith("train.txt:501: bytes that are not")
    texts, (note,) = kept(train=path, encoding=encoding)
    assert texts == [*lines[:500], *lines[501:]]
    assert "1 line skipped that cannot be read, the first is line 501." in note


def test_bad_bytes_within_a_quoted_field_cost_the_row_and_no_other():
    path = write("train.csv", b'text,label\na,x\n"b\n\xe9\n",y\nc,z\n')
    assert refused(train=path).startswith("train.csv:4: bytes that are not UTF-8.")
    texts, (note,) = kept(train=path, label="label")
    assert texts == ["a", "c"]
    assert "3 lines skipped" in note


def test_a_replacement_character_is_a_character_like_others():
    assert read(train=write("train.txt", "a \ufffd b\n"))[0].text == "a \ufffd b"
