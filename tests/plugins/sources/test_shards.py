"""Files as shards: each is read by itself, from any row on, and few are looked at before."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import DataError
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

from .conftest import write

FORMS = ["txt", "csv", "csv.gz", "tsv", "jsonl", "jsonl.gz"]


def content(form: str, texts: list[str]) -> bytes:
    head = "text\n" if form.startswith(("csv", "tsv")) else ""
    lines = [json.dumps({"text": text}) if "json" in form else text for text in texts]
    packed = gzip.compress if form.endswith(".gz") else bytes
    return packed((head + "".join(f"{line}\n" for line in lines)).encode())


def source(pattern: str, **options: Any) -> Files:
    return Files(FilesConfig(train=Path(pattern), **options))


def texts_of(made: Files, name: str, skip: int = 0) -> list[str]:
    return [example.text for example in made.shard("train", name, skip)]


@pytest.mark.parametrize("form", FORMS)
def test_a_shard_is_a_file_and_can_be_gone_on_with_anywhere(form):
    for number in range(3):
        write(f"{number}.{form}", content(form, [f"text {number}{row}" for row in range(5)]))
    made = source(f"?.{form}")
    assert made.shards("train") == tuple(f"{number}.{form}" for number in range(3))
    for skip in range(7):
        found = list(made.shard("train", f"1.{form}", skip))
        assert [e.text for e in found] == [f"text 1{row}" for row in range(skip, 5)]
        assert found == list(made.shard("train", f"1.{form}"))[skip:]


def test_a_skip_counts_examples_where_bad_lines_are_left_out():
    lines = ["a", "\udcff", "b", "\udcff", "c"]
    write("a.txt", "\n".join(lines).encode("utf-8", "surrogateescape"))
    made = source("a.txt", on_bad_line="skip")
    assert [texts_of(made, "a.txt", skip) for skip in range(4)] == [
        ["a", "b", "c"],
        ["b", "c"],
        ["c"],
        [],
    ]
    assert made.skipped() == {"a.txt": (2, (2, 4))}


def test_lines_with_labels_of_their_own_are_one_shard():
    write("1.txt", "a\nb\n")
    write("2.txt", "c\n")
    write("labels", "x\ny\nz\n")
    made = source("?.txt", labels={"train": Path("labels")})
    (name,) = made.shards("train")
    assert [(e.text, e.label) for e in made.shard("train", name, 1)] == [("b", "y"), ("c", "z")]


def test_shards_that_are_not_there():
    write("a.txt", "a\n")
    with pytest.raises(DataError, match=r"The train split has no file b\.txt\. Did you mean 'a\.t"):
        texts_of(source("a.txt"), "b.txt")
    with pytest.raises(DataError, match="no split 'test'"):
        source("a.txt").shards("test")


def test_an_empty_shard_is_refused_or_noted():
    write("a.txt", "\n")
    with pytest.raises(DataError, match=r"^a\.txt has no example"):
        texts_of(source("a.txt"), "a.txt")
    made = source("a.txt", on_bad_line="skip")
    assert texts_of(made, "a.txt") == []
    assert made.notes() == ("a.txt has no example.",)


def test_row_groups_of_parquet_that_are_skipped_are_not_read():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [f"text {number}" for number in range(3000)]
    parquet.write_table(pyarrow.table({"text": rows}), "whole.parquet", 1000, use_dictionary=False)
    whole = Path("whole.parquet").read_bytes()
    group = parquet.ParquetFile("whole.parquet").metadata.row_group(0).column(0)
    start, size = group.data_page_offset, group.total_compressed_size
    broken = whole[:start] + b"\xff" * size + whole[start + size :]
    write("a.parquet", broken)
    made = source("a.parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        texts_of(made, "a.parquet")
    for skip in (1000, 1500, 2999, 3000):
        found = list(made.shard("train", "a.parquet", skip))
        assert [e.text for e in found] == rows[skip:]
        assert not found or found[0].place == f"a.parquet:{skip + 1}"


def test_shards_and_their_fingerprint_are_known_without_reading_the_files(monkeypatch):
    for number in range(3):
        write(f"{number}.txt", b"x" * 50_000_000 + b"\n")
    made = source("?.txt")
    read: list[int] = []
    opened = Path.open

    def counting(self: Path, *arguments: Any, **options: Any) -> Any:
        file = opened(self, *arguments, **options)
        whole: Callable[[int], bytes] = file.read

        class Counting:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: object) -> None:
                file.close()

            def seek(self, *place: int) -> int:
                return file.seek(*place)

            def read(self, size: int = -1) -> bytes:
                found = whole(size)
                read.append(len(found))
                return found

        return Counting()

    monkeypatch.setattr(Path, "open", counting)
    assert len(made.shards("train")) == 3
    assert not read
    made.shards_fingerprint()
    assert 0 < sum(read) < 1_000_000


@pytest.mark.parametrize(
    ("place", "seen"), [(0, True), (110_000, False), (200_100, True), (2_999_999, True)]
)
def test_the_fingerprint_of_shards_sees_the_size_the_ends_and_some_between(place, seen):
    content = bytearray(b"x" * 3_000_000)
    write("a.txt", bytes(content))
    first = source("a.txt").shards_fingerprint()
    assert source("a.txt").shards_fingerprint() == first
    assert source("a.txt", documents="file").shards_fingerprint() != first
    write("a.txt", bytes(content) + b"\n")
    assert source("a.txt").shards_fingerprint() != first
    content[place] = ord("y")
    write("a.txt", bytes(content))
    assert (source("a.txt").shards_fingerprint() != first) == seen


TEXTS = st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), min_size=1)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(FORMS), st.data())
def test_shards_in_order_are_the_split(files, form, data):
    with TemporaryDirectory() as folder:
        for number, texts in enumerate(files):
            write(f"{folder}/{number}.{form}", content(form, texts))
        made = source(f"{folder}/*.{form}")
        names = made.shards("train")
        whole = list(made.examples("train"))
        assert [example for name in names for example in made.shard("train", name)] == whole
        number = data.draw(st.integers(0, len(files) - 1))
        skip = data.draw(st.integers(0, len(files[number]) + 1))
        assert texts_of(made, names[number], skip) == files[number][skip:]
