"""Files that are cut, swollen, of another encoding or in change: told with their place, or skipped
and counted, in bounded memory.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loomlm.plugin import DataError
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files

from .conftest import kept, read, refused, write

MEBIBYTE = 1 << 20


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """No more bytes than these are asked for meanwhile, whatever the files hold."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"


# --- archives that are cut ----------------------------------------------------------------------


def cut_within(lines: list[str], place: int, behind: int = 0) -> bytes:
    """A .gz that holds `place` bytes of the lines, and `behind` bytes of what should follow."""
    content = "".join(f"{line}\n" for line in lines).encode()
    packer = zlib.compressobj(wbits=31)
    whole = packer.compress(content[:place]) + packer.flush(zlib.Z_FULL_FLUSH)
    return whole + (packer.compress(content[place:]) + packer.flush())[:behind]


@pytest.mark.parametrize("form", ["txt", "csv", "tsv", "jsonl"])
@pytest.mark.parametrize("within", ["a line", "a character"])
def test_what_stands_before_the_cut_of_an_archive_is_kept(form, within):
    texts = [f"{number} für" for number in range(1, 21)]
    head = ["text,label"] if form == "csv" else ["text\tlabel"] if form == "tsv" else []
    rows = {
        "txt": texts,
        "csv": [f"{text},a" for text in texts],
        "tsv": [f"{text}\ta" for text in texts],
        "jsonl": [json.dumps({"text": text}, ensure_ascii=False) for text in texts],
    }[form]
    lines = [*head, *rows]
    before = len("".join(f"{line}\n" for line in lines[:-5]).encode())
    inside = lines[-5].encode().index("ü".encode()) + 1
    path = write(f"a.{form}.gz", cut_within(lines, before + (inside if within != "a line" else 3)))
    number = len(lines) - 4
    message = refused(train=path)
    assert message.startswith(f"a.{form}.gz:{number}: a truncated archive, whole up to")
    assert message.endswith('Fetch it again, or set on_bad_line = "skip".')
    found, (note,) = kept(train=path)
    assert found == texts[:-5]
    assert f"1 line skipped that cannot be read, the first is line {number}" in note
    assert f"what is behind line {number} is lost: a truncated archive" in note


@pytest.mark.parametrize("option", ["error", "skip"])
def test_an_archive_that_is_damaged_in_its_middle_is_refused_whole(option):
    """What was unpacked before the damage shows may be wrong."""
    drawn = random.Random(0)
    lines = [f"{drawn.randrange(1 << 320):080x}" for _ in range(2000)]
    packed = gzip.compress("\n".join(lines).encode(), mtime=0)
    half = len(packed) // 2
    for damaged in (packed[:half] + b"damaged" + packed[half:], packed[:-8] + b"wrongsum"):
        message = refused(train=write("a.txt.gz", bytes(damaged)), on_bad_line=option)
        assert message.startswith("a.txt.gz:")
        assert ": a damaged archive, here or before: " in message
        assert message.endswith("Fetch it again.")


def test_a_row_in_quotes_that_an_archive_ends_in():
    lines = ["text,label", "a,x", '"b', "still b", "and more b", '",y']
    whole = len("".join(f"{line}\n" for line in lines[:4]))
    path = write("a.csv.gz", cut_within(lines, whole + 3))
    assert refused(train=path).startswith("a.csv.gz:3: not csv: a quote is opened, and line 5 has")
    texts, (note,) = kept(train=path, label="label")
    assert texts == ["a"]
    assert "3 lines skipped" in note
    assert "is lost: a truncated archive" in note


# --- lines and rows without an end --------------------------------------------------------------


@pytest.mark.parametrize("form", ["txt", "csv", "tsv", "jsonl"])
def test_a_line_that_is_too_long_is_refused_or_left_out_in_bounded_memory(form):
    head = {"csv": "text,label\n", "tsv": "text\tlabel\n"}.get(form, "")
    row = {"csv": "a,x\n", "tsv": "a\tx\n", "jsonl": '{"text": "a"}\n'}.get(form, "a\n")
    path = write(f"a.{form}", head + row + "y" * 40 * MEBIBYTE + "\n" + row)
    options: dict[str, Any] = {"train": path, "longest_line": MEBIBYTE}
    first = 3 if head else 2
    with memory_below(12 * MEBIBYTE):
        assert refused(**options) == (
            f"a.{form}:{first}: a line of more than 1,048,576 bytes. If it is meant, raise "
            'data.longest_line, or set on_bad_line = "skip".'
        )
        texts, (note,) = kept(**options)
    assert texts == ["a", "a"]
    assert f"1 line skipped that cannot be read, the first is line {first}." in note
    assert refused(train=path).startswith(f"a.{form}:{first}: a line of more than 33,554,432 bytes")


@pytest.mark.parametrize(
    ("text", "size"), [("a" * 99, 99), ("é" * 50, 100), ("\U0001f600" * 25, 100)]
)
def test_the_longest_line_is_in_bytes(text, size):
    path = write("a.txt", f"{text}\nb")
    assert [e.text for e in read(train=path, longest_line=size + 1)] == [text, "b"]
    assert "a.txt:1: a line of more than" in refused(train=path, longest_line=size - 1)


@pytest.mark.parametrize("unit", ["paragraph", "file"])
def test_a_text_of_many_lines_is_bounded_as_well(unit):
    path = write("a.txt", "b\n" * 200_000 + "\nc\n")
    options: dict[str, Any] = {"train": path, "documents": unit, "longest_line": 1 << 14}
    with memory_below(MEBIBYTE):
        assert refused(**options).startswith(f"a.txt:1: a {unit} of more than 16,384 bytes.")
    if unit == "paragraph":
        texts, (note,) = kept(**options)
        assert texts == ["c"]
        assert "200,000 lines skipped" in note


def bomb(content: bytes, times: int) -> bytes:
    """A .gz of a content again and again, made without holding it."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(content) for _ in range(times)), packer.flush()])


@pytest.mark.parametrize("form", ["txt", "csv", "tsv", "jsonl"])
def test_an_archive_that_swells_to_a_thousand_times_its_size(form):
    packed = bomb(bytes(MEBIBYTE), 64)
    assert len(packed) < MEBIBYTE / 10
    path = write(f"a.{form}.gz", packed)
    with memory_below(12 * MEBIBYTE):
        for option in ("error", "skip"):
            message = refused(train=path, on_bad_line=option, longest_line=MEBIBYTE)
            assert message.startswith(f"a.{form}.gz")


def test_a_quote_that_is_left_open_over_a_million_lines():
    path = write("a.csv", 'text,label\na,x\n"b,y\n' + "c,z\n" * 1_000_000)
    with memory_below(40 * MEBIBYTE):
        assert refused(train=path).startswith(
            "a.csv:3: not csv: a quote is opened and not closed in the 131,072 lines from here. If "
            "quotes are part of the text, set quoting = false, or set"
        )
        assert refused(train=path, longest_line=1 << 12).startswith(
            "a.csv:3: not csv: a quote is opened and not closed in the 1,023 lines from here. If "
            "quotes are part of the text, set quoting = false; if the text is as long as that, "
            "raise data.longest_line"
        )


@pytest.mark.parametrize("longest", [1 << 12, 1 << 25])
def test_the_lines_behind_an_open_quote_are_kept_where_rows_can_be_told(longest):
    lines = ["text,label", "a,x", '"b,y', *(f"c{number},z" for number in range(5000))]
    lines[2500] = '"quoted, with a comma",z'
    path = write("a.csv", "\n".join(lines))
    texts, (note,) = kept(train=path, label="label", longest_line=longest)
    assert len(texts) == 5001
    assert texts[:3] == ["a", "c0", "c1"]
    assert "quoted, with a comma" in texts
    assert "1 line skipped that cannot be read, the first is line 3." in note


def test_the_lines_behind_an_open_quote_are_counted_where_they_may_be_the_text():
    path = write("a.csv", "text\na\n" + '"b\n' + "c\n" * 5000)
    texts, (note,) = kept(train=path)
    assert texts == ["a"]
    assert "5,001 lines skipped that cannot be read, the first is line 3." in note
    texts, (note,) = kept(train=path, longest_line=1 << 12)
    assert "2,048 lines skipped" in note  # As many as fit, and then rows are rows again.
    assert texts == ["a", *["c"] * (5001 - 2048)]


# --- other encodings, and no text at all --------------------------------------------------------


def content(form: str) -> str:
    rows = [(f"line {number} für", "a") for number in range(40)]
    if form == "jsonl":
        return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    between = {"csv": ",", "tsv": "\t"}.get(form, " ")
    head = f"text{between}label\n" if form in ("csv", "tsv") else ""
    return head + "".join(f"{text}{between}{label}\n" for text, label in rows)


@pytest.mark.parametrize("form", ["txt", "csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("encoding", "likely"),
    [
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("utf-32-be", "utf-32-be"),
    ],
)
def test_a_file_of_another_encoding_is_told_whole(form, encoding, likely):
    path = write(f"a.{form}", content(form).encode(encoding))
    for option in ("error", "skip"):
        for assumed in ("utf-8", "latin-1"):
            assert refused(train=path, on_bad_line=option, encoding=assumed) == (
                f"a.{form}:1: this is not {assumed.upper()}; the file looks like "
                f'{likely.upper()}. Set data.encoding = "{likely}".'
            )
    assert len(read(train=path, encoding=likely)) == 40


@pytest.mark.parametrize("text", ["Это текст на русском. ", "这是一个句子。\n", "これは文です。 "])
def test_other_scripts_in_two_bytes_a_character_are_known_too(text):
    path = write("a.txt", (text * 100).encode("utf-16-be"))
    assert 'Set data.encoding = "utf-16-be"' in refused(train=path)


def test_two_bytes_a_character_without_the_mark_that_is_asked_for():
    path = write("a.txt", "one\ntwo\n".encode("utf-16-le"))
    message = refused(train=path, encoding="utf-16")
    assert message.startswith("a.txt:1: ")
    assert 'Set data.encoding to what the file has: it looks like "utf-16-le".' in message


@pytest.mark.parametrize("form", ["txt", "csv", "tsv", "jsonl"])
def test_nul_bytes_are_no_text(form):
    lines = content(form).splitlines()
    lines[2] = lines[2].replace("line", "li\0ne")
    lines[9] = "\0" * 100
    path = write(f"a.{form}", "\n".join(lines))
    message = refused(train=path)
    assert message.startswith(f"a.{form}:3: a NUL byte, which no text has. Take it out, or check")
    texts, (note,) = kept(train=path)
    assert len(texts) == 38
    assert "2 lines skipped that cannot be read, the first is line 3." in note


def test_a_text_of_ascii_with_nul_bytes_here_and_there_is_not_taken_for_another_encoding():
    path = write("a.txt", "words;wo\0rds" * 30)  # Two by two, these bytes are letters as well.
    assert refused(train=path).startswith("a.txt:1: a NUL byte, which no text has.")


# --- files among others, and files in change ----------------------------------------------------


def test_an_empty_file_among_others_is_refused_or_noted():
    write("1.jsonl", '{"text": "a"}\n')
    write("2.jsonl", "")
    write("3.jsonl", '{"text": "b"}\n')
    assert refused(train=Path("?.jsonl")) == (
        "2.jsonl has no example. Take it out, or check that it is whole."
    )
    assert kept(train=Path("?.jsonl")) == (["a", "b"], ("2.jsonl has no example.",))
    write("1.jsonl", "")
    write("3.jsonl", "\n")
    assert refused(train=Path("?.jsonl"), on_bad_line="skip").startswith("1.jsonl has no example.")


def test_many_files_with_bad_lines_are_summed_up():
    for number in range(30):
        write(f"{number:02}.jsonl", '{"text": "a"}\nbad\n')
    _, notes = kept(train=Path("*.jsonl"))
    assert len(notes) == 11
    assert notes[-1] == "20 more files: 20 lines skipped that cannot be read."


def add_a_line(path: Path) -> None:
    with path.open("a") as file:
        file.write("one more line\n")


def later(path: Path) -> None:
    """The file has the same bytes, written a second later."""
    when = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(when, when))


@pytest.mark.parametrize("change", [add_a_line, later, Path.unlink])
def test_a_file_that_changes_while_it_is_read(change: Callable[[Path], None]):
    write("1.txt", "a\n")
    path = write("2.txt", "b\nc\n")
    examples = Files(FilesConfig(train=Path("?.txt"))).examples("train")
    assert [next(examples).text, next(examples).text] == ["a", "b"]
    change(path)
    with pytest.raises(DataError, match=r"^2\.txt has changed while it was read\."):
        list(examples)


@pytest.mark.parametrize("name", ["a.txt", "a.labels", "names"])
def test_a_file_that_has_changed_since_its_fingerprint_was_taken(name):
    write("a.txt", "a\nb\n")
    write("a.labels", "1\n2\n")
    write("names", "one\ntwo\n")
    options: dict[str, Any] = {"labels": {"train": Path("a.labels")}, "label_names": Path("names")}
    for taken in (Files.fingerprint, Files.shards_fingerprint):
        source = Files(FilesConfig(train=Path("a.txt"), **options))
        taken(source)
        later(Path(name))
        with pytest.raises(DataError, match=f"^{name} has changed while it was read"):
            list(source.examples("train"))
        source.fingerprint()
        assert len(list(source.examples("train"))) == 2


def test_names_of_labels_that_have_changed_are_read_anew_after_a_fingerprint():
    write("names", "one\ntwo\n")
    train = write("a.csv", "text,label\na,0\nb,1\n")
    source = Files(FilesConfig(train=train, label="label", label_names=Path("names")))
    assert [e.label for e in source.examples("train")] == ["one", "two"]
    write("names", "uno\ndue\n")
    source.fingerprint()
    assert [e.label for e in source.examples("train")] == ["uno", "due"]


def test_a_file_that_is_written_anew_says_so_before_what_is_wrong_in_it():
    path = write("a.jsonl", '{"text": "a"}\n' * 10_000)
    examples = Files(FilesConfig(train=path)).examples("train")
    next(examples)
    with path.open("r+") as file:
        file.write('{"text": ' * 50_000)
    with pytest.raises(DataError, match="has changed while it was read"):
        list(examples)
