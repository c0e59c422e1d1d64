"""Whatever a text holds: written by the csv and json modules, it comes back as it was."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loomlm.plugin import DataError, Example
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

# Disks are slow at times.
DISK = settings(deadline=None)
# A NUL byte is no text.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
# What makes trouble comes often: quotes, delimiters, line ends, marks, blanks.
AWKWARD = st.text(st.sampled_from('"",\t\n\r \ufeff\x85\u2028ab'))
LABEL = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    .map(str.strip)
    .filter(bool)
)
ROWS = st.lists(st.tuples(TEXT | AWKWARD, LABEL), min_size=1)
IN_ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\n\r"))


def read_back(name: str, content: bytes, **options: Any) -> list[Example]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return list(Files(FilesConfig(train=path, **options)).examples("train"))


def written(rows: list[Any], line_end: str, **options: Any) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=line_end, **options).writerows(rows)
    return file.getvalue().encode()


@DISK
@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from([",", ";", "\t"]))
def test_csv(rows, line_end, delimiter):
    # Labels are read without the blanks around them, texts as they are.
    content = written([("text", "label"), *rows], line_end, delimiter=delimiter)
    examples = read_back("train.csv", content, label="label", delimiter=delimiter)
    assert [(example.text, example.label) for example in examples] == rows


@DISK
@given(ROWS)
def test_places_of_csv_are_the_lines_where_rows_begin(rows):
    content = written([("text", "label"), *rows], "\n")
    line, places = 2, []
    for row in rows:
        places.append(line)
        line += written([row], "\n").count(b"\n")
    examples = read_back("train.csv", content, label="label")
    assert [int(example.place.rpartition(":")[2]) for example in examples] == places


@DISK
@given(st.lists(st.tuples(IN_ONE_LINE, IN_ONE_LINE.map(str.strip).filter(bool)), min_size=1))
def test_tsv(rows):
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    content = "".join(f"{line}\n" for line in lines).encode()
    examples = read_back("train.tsv", content, label="label")
    assert [(example.text, example.label) for example in examples] == rows


# JSON writes it as an escape.
WITH_NUL = st.lists(st.tuples(TEXT | st.text(st.sampled_from('\0"\\\n')), LABEL), min_size=1)


@DISK
@given(ROWS | WITH_NUL, st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_jsonl(rows, ascii_only, encoding):
    lines = [json.dumps({"text": t, "label": v}, ensure_ascii=ascii_only) for t, v in rows]
    content = "".join(f"{line}\n" for line in lines).encode(encoding)
    examples = read_back("train.jsonl", content, label="label", encoding=encoding)
    assert [(example.text, example.label) for example in examples] == rows
    assert [e.place.rpartition(":")[2] for e in examples] == [str(n + 1) for n in range(len(rows))]


WORDS = st.text(st.sampled_from("ab \t\r\ufeff\u2028\x85")).filter(str.strip)
PARAGRAPHS = st.lists(st.lists(WORDS.map(lambda line: f"a{line}b"), min_size=1), min_size=1)
GAPS = st.sampled_from(["\n", "\r\n", " \t\n", "\n\n \r\n"])


@DISK
@given(PARAGRAPHS, GAPS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_paragraphs(paragraphs, gap, line_end, ended):
    content = (line_end + gap).join(line_end.join(lines) for lines in paragraphs)
    content = gap + content + line_end * ended
    examples = read_back("train.txt", content.encode(), documents="paragraph")
    assert [example.text for example in examples] == ["\n".join(lines) for lines in paragraphs]
    lines = content.split("\n")
    for example in examples:
        number = int(example.place.rpartition(":")[2])
        assert lines[number - 1].startswith(example.text.partition("\n")[0])
        assert not lines[number - 2].strip()


# A byte-order mark at a file's start, and a carriage return before a line feed, are no text.
WHOLE = (TEXT | AWKWARD).map(lambda text: re.sub("\r+\n", "\n", text.lstrip("\ufeff")))


@DISK
@given(WHOLE.filter(str.strip), st.sampled_from(["utf-8", "utf-16"]), st.booleans())
def test_a_whole_file(text, encoding, windows):
    content = (text.replace("\n", "\r\n") if windows else text).encode(encoding)
    (example,) = read_back("train.txt", content, encoding=encoding, documents="file")
    assert example.text == text
    assert example.place.endswith("train.txt:1")


@DISK
@given(st.binary(), st.sampled_from(["csv", "tsv", "jsonl", "txt", "parquet", "csv.gz", "txt.xz"]))
def test_any_bytes_at_all_are_read_or_refused_in_one_sentence(content, form):
    try:
        read_back(f"train.{form}", content)
    except DataError as error:
        assert "\n" not in str(error)


@DISK
@given(st.lists(st.binary(max_size=20)), st.sampled_from(["line", "paragraph", "file"]))
def test_the_forms_of_a_document_hold_the_same_lines(lines, unit):
    content = b"\n".join([b"a", *lines])
    options = {"encoding": "shift_jis", "on_bad_line": "skip"}
    held = [
        [
            line
            for example in read_back("a.txt", content, documents=name, **options)
            for line in example.text.split("\n")
            if line.strip()
        ]
        for name in ("line", unit)
    ]
    assert [line.rstrip("\r") for line in held[0]] == [line.rstrip("\r") for line in held[1]]


@DISK
@given(st.lists(st.binary(max_size=20)), st.sampled_from(["csv", "tsv", "jsonl", "txt"]))
def test_any_lines_of_bytes_are_read_or_skipped(lines, form):
    first = {"csv": b"text\n", "tsv": b"text\n", "jsonl": b'{"text": "a"}\n', "txt": b"a\n"}[form]
    last = b'{"text": "a"}' if form == "jsonl" else b"a"
    content = first + b"\n".join([*lines, last])
    for encoding in ("utf-8", "utf-16", "shift_jis"):
        try:
            read_back(f"train.{form}", content, encoding=encoding, on_bad_line="skip")
        except DataError as error:
            # A header cannot be skipped, nor can a file that has not even a byte-order mark, and
            # an open quote may leave no example at all.
            known = (":1: ", "empty", "BOM", "has no example")
            assert any(part in str(error) for part in known)
