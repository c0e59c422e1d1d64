"""2,000 wrong data files of every form: a message and code 2, or examples, and nothing else."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

from .mutating import bounded, mutated, refused

pytestmark = pytest.mark.one_backend

ROWS = [(f'rain, wind {n} "x" é', "ab"[n % 2]) for n in range(30)]
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
WORDS = [
    *(b"\0", b"\xff\xfe", b'"', b"\n", b",", b"\r", b"{", b"[", b"PAR1", b"NaN", b"1e999", b"text"),
    *(b"[" * 5000, b'{"a":' * 3000, b"9" * 5000, b"\xed\xa0\x80", b"\\ud800", b"x" * 70_000),
]


def table(delimiter: str) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("text", "label"), *ROWS])
    return file.getvalue().encode()


def parquet() -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    file = io.BytesIO()
    texts, labels = zip(*ROWS, strict=True)
    library.write_table(pyarrow.table({"text": texts, "label": labels}), file)
    return file.getvalue()


def right(form: str) -> bytes:
    lines = {
        "jsonl": "".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in ROWS),
        "txt": "".join(f"{text}\n" for text, _ in ROWS),
    }
    if form in lines:
        return lines[form].encode()
    return parquet() if form == "parquet" else table("," if form == "csv" else "\t")


def wrong_files(folder: Path, count: int, draw: random.Random) -> Iterator[Path]:
    """Files that are wrong, or whose archive is."""
    contents = {form: right(form) for form in ("csv", "tsv", "jsonl", "txt", "parquet")}
    for number in range(count):
        form = list(contents)[number % len(contents)]
        packing = draw.choice(["", "", *PACKED]) if form != "parquet" else ""
        pack = PACKED[packing]
        content = draw.choice(
            [
                lambda form=form, pack=pack: pack(mutated(contents[form], draw, WORDS)),
                lambda form=form, pack=pack: mutated(pack(contents[form]), draw, WORDS),
                lambda: draw.randbytes(draw.randrange(3000)),
            ]
        )()
        path = folder / f"wrong.{form}{packing}"
        path.write_bytes(content)
        yield path


def read(path: Path, bad: str) -> int:
    """How many examples a file has, read as a run would."""
    label = None if ".txt" in path.name else "label"
    source = Files(FilesConfig(train=path, label=label, on_bad_line=bad))  # type: ignore[arg-type] - one of its words
    source.fingerprint()
    return sum(1 for _ in source.examples("train"))


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt", "parquet"])
def test_right_files_are_read(form, tmp_path):
    path = tmp_path / f"right.{form}"
    path.write_bytes(right(form))
    assert read(path, "error") == len(ROWS)


def test_wrong_files_are_refused(times, tmp_path):
    draw = random.Random(3)
    found = 0
    with bounded():
        for path in wrong_files(tmp_path, times(2000), draw):
            bad = draw.choice(["error", "skip"])
            case = (path.name, path.read_bytes())
            found += bool(refused(lambda path=path, bad=bad: read(path, bad), case, 2))
    assert found > 50


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
def test_an_archive_that_unpacks_to_much_more_takes_little_memory(packing, tmp_path):
    """A bomb of one line is left out at `longest_line`; one of many lines goes by, line by line."""
    path = tmp_path / f"bomb.txt{packing}"
    path.write_bytes(PACKED[packing](b"0" * (600 << 20)))
    source = Files(FilesConfig(train=path))
    with bounded():
        said = refused(lambda: list(source.examples("train")), path, 2)
    assert "line of more than 33,554,432 bytes" in said
