"""Whatever a text holds: written by the csv and json modules, it comes back as it was."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import DataError, Example
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# What makes trouble comes often: quotes, delimiters, line ends, marks, blanks.
AWKWARD = st.text(st.sampled_from('"",\t\n\r \ufeff\0\x85\u2028ab'))
LABEL = st.text(st.characters(exclude_categories=["Cs"])).map(str.strip).filter(bool)
ROWS = st.lists(st.tuples(TEXT | AWKWARD, LABEL), min_size=1)
IN_ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"))


def read_back(name: str, content: bytes, **options: Any) -> list[Example]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return list(Files(FilesConfig(train=path, **options)).examples("train"))


def written(rows: list[Any], line_end: str, **options: Any) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=line_end, **options).writerows(rows)
    return file.getvalue().encode()


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from([",", ";", "\t"]))
def test_csv(rows, line_end, delimiter):
    # Labels are read without the blanks around them, texts as they are.
    content = written([("text", "label"), *rows], line_end, delimiter=delimiter)
    examples = read_back("train.csv", content, label="label", delimiter=delimiter)
    assert [(example.text, example.label) for example in examples] == rows


@given(ROWS)
def test_places_of_csv_are_the_lines_where_rows_begin(rows):
    content = written([("text", "label"), *rows], "\n")
    line, places = 2, []
    for row in rows:
        places.append(line)
        line += written([row], "\n").count(b"\n")
    examples = read_back("train.csv", content, label="label")
    assert [int(example.place.rpartition(":")[2]) for example in examples] == places


@given(st.lists(st.tuples(IN_ONE_LINE, IN_ONE_LINE.map(str.strip).filter(bool)), min_size=1))
def test_tsv(rows):
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    content = "".join(f"{line}\n" for line in lines).encode()
    examples = read_back("train.tsv", content, label="label")
    assert [(example.text, example.label) for example in examples] == rows


@given(ROWS, st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_jsonl(rows, ascii_only, encoding):
    lines = [json.dumps({"text": t, "label": v}, ensure_ascii=ascii_only) for t, v in rows]
    content = "".join(f"{line}\n" for line in lines).encode(encoding)
    examples = read_back("train.jsonl", content, label="label", encoding=encoding)
    assert [(example.text, example.label) for example in examples] == rows
    assert [e.place.rpartition(":")[2] for e in examples] == [str(n + 1) for n in range(len(rows))]


@given(st.binary(), st.sampled_from(["csv", "tsv", "jsonl", "txt", "parquet", "csv.gz", "txt.xz"]))
def test_any_bytes_at_all_are_read_or_refused_in_one_sentence(content, form):
    try:
        read_back(f"train.{form}", content)
    except DataError as error:
        assert "\n" not in str(error)


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
