"""Bad input: one clear error, exit code 2, no traceback, and nothing is lost."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_backend


def truncated_gzip(folder: Path) -> str:
    whole = gzip.compress((folder / "train.csv").read_bytes())
    (folder / "train.csv.gz").write_bytes(whole[: len(whole) // 2])
    return "train.csv.gz"


def truncated_xz(folder: Path) -> str:
    whole = lzma.compress((folder / "train.csv").read_bytes())
    (folder / "train.csv.xz").write_bytes(whole[: len(whole) // 2])
    return "train.csv.xz"


def no_gzip(folder: Path) -> str:
    (folder / "train.csv.gz").write_bytes((folder / "train.csv").read_bytes())
    return "train.csv.gz"


def not_utf8(folder: Path) -> str:
    (folder / "latin.csv").write_bytes(b"text,label\nfine,a\ncaf\xe9,b\n")
    return "latin.csv"


def utf_16(folder: Path) -> str:
    (folder / "wide.csv").write_text((folder / "train.csv").read_text(), encoding="utf-16")
    return "wide.csv"


def an_empty_shard(folder: Path) -> str:
    (folder / "shard1.csv").write_bytes((folder / "train.csv").read_bytes())
    (folder / "shard2.csv").write_text("text,label\n")
    return "shard?.csv"


def a_bomb(folder: Path) -> str:
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(64)]
    (folder / "bomb.jsonl.gz").write_bytes(b"".join([*parts, packer.flush()]))
    return "bomb.jsonl.gz"


def written(name: str, content: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_text(content, newline="")
        return name

    return write


CASES: dict[str, tuple[Callable[[Path], str], tuple[str, ...]]] = {
    "a missing file": (lambda folder: "trian.csv", ("no file", "trian.csv", "'train.csv'?")),
    "a folder": (lambda folder: ".", ("is a folder", "*.csv")),
    "a glob that fits none": (lambda folder: "x*.csv", ("No file fits", "x*.csv")),
    "an empty file": (written("empty.csv", ""), ("empty.csv", "empty")),
    "a header alone": (written("head.csv", "text,label\n"), ("head.csv has no example",)),
    "no such column": (
        written("other.csv", "texts,label\na,b\n"),
        ("other.csv:1", "'text'", "'texts'?"),
    ),
    "bytes that are not UTF-8": (
        not_utf8,
        ("latin.csv:3", "UTF-8", "encoding", 'on_bad_line = "skip"'),
    ),
    "a truncated .gz": (truncated_gzip, ("train.csv.gz", "truncated")),
    "a truncated .xz": (truncated_xz, ("train.csv.xz", "truncated")),
    "no .gz at all": (no_gzip, ("train.csv.gz", "gz")),
    "too few fields": (written("f.csv", "text,label\na,b\nc\n"), ("f.csv:3", "1 field")),
    "too many fields": (written("f.csv", "text,label\na,b,c\n"), ("f.csv:2", "3 fields")),
    "not JSON": (
        written("f.jsonl", '{"text": "a", "label": "b"}\n{"text": \n'),
        ("f.jsonl:2", "JSON"),
    ),
    "JSON that is no object": (written("f.jsonl", "[1]\n"), ("f.jsonl:1", "object")),
    "JSON without the text": (written("f.jsonl", '{"label": "b"}\n'), ("f.jsonl:1", "'text'")),
    "a text that is null": (
        written("f.jsonl", '{"text": null, "label": "b"}\n'),
        ("f.jsonl:1", "'text'"),
    ),
    "UTF-16": (utf_16, ("wide.csv:1", 'data.encoding = "utf-16"')),
    "a NUL byte": (written("f.csv", "text,label\na\0b,c\n"), ("f.csv:2", "NUL byte")),
    "another delimiter": (
        written("f.csv", "text;label\na;b\n"),
        ("f.csv:1", "';'", 'data.delimiter = ";"'),
    ),
    "a quote left open": (
        written("f.csv", 'text,label\na,b\n"c,d\n' + "e,f\n" * 1000),
        ("f.csv:3", "a quote is opened and never closed", "quoting = false"),
    ),
    "an empty shard": (an_empty_shard, ("shard2.csv has no example",)),
    "an archive that swells": (a_bomb, ("bomb.jsonl.gz:1", "bytes", "data.longest_line")),
    "labels of two types": (
        written("f.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": "c"}\n'),
        ("f.jsonl:2", "'c' is a text", "1 at", "f.jsonl:1 is a number"),
    ),
    "two columns of one name": (
        written("f.csv", "text,label,label\na,b,c\n"),
        ("f.csv:1", "2 columns are named 'label'"),
    ),
    "a key twice in an object": (
        written("f.jsonl", '{"text": "a", "text": "b", "label": "c"}\n'),
        ("f.jsonl:1", "'text' stands twice"),
    ),
    "a name that says no form": (written("data.dat", "x"), ("data.dat", "data.format")),
    "no parquet": (written("f.parquet", "x"), ("f.parquet", "arquet")),
}


@pytest.mark.parametrize("case", CASES)
def test_training_data_that_cannot_be_read(case, config_file, tmp_path, loomlm_command):
    make, said = CASES[case]
    path = config_file()
    path.write_text(path.read_text().replace("train.csv", make(tmp_path)))

    done = loomlm_command("run", path)

    assert done.code == 2
    for part in said:
        assert part in done.err
    assert not (tmp_path / "runs").exists()


def test_lines_that_cannot_be_read_can_be_skipped_and_are_counted(
    config_file, tmp_path, loomlm_command
):
    path = config_file(steps="3")
    with (tmp_path / "train.csv").open("ab") as file:
        file.write(b"caf\xe9,food\nonly one field\n")
    bad = loomlm_command("run", path)
    done = loomlm_command("run", path, "--set", "stages.finetune.data.on_bad_line=skip")

    assert bad.code == 2
    assert "train.csv:402" in bad.err
    assert done.code == 0
    assert "train.csv: 2 lines skipped that cannot be read, the first is line 402." in done.err


def test_mistakes_between_keys_of_labels_are_told_with_their_line(config_file, loomlm_command):
    path = config_file()
    text = path.read_text()
    lines = text.splitlines()
    data = next(number for number, line in enumerate(lines, 1) if line.startswith("data = "))
    path.write_text(text.replace('label = "label"', 'label = "label", label_from = "folder"'))

    done = loomlm_command("config", "check", path)

    assert done.code == 2
    assert f":{data}: " in done.err
    assert "label = 'label' and label_from = 'folder' each say where labels come from" in done.err


def test_a_label_in_test_that_train_lacks(config_file, tmp_path, loomlm_command):
    path = config_file()
    with (tmp_path / "test.csv").open("a") as file:
        file.write("some text,wether\n")

    done = loomlm_command("run", path)

    assert done.code == 2
    for part in ("test.csv:102", "'wether'", "'weather'"):
        assert part in done.err


def test_a_vocabulary_too_small(config_file, loomlm_command):
    path = config_file()

    done = loomlm_command(
        "run", path, "--set", "tokenizer.type=wordpiece", "--set", "tokenizer.vocab_size=5"
    )

    assert done.code == 2
    assert "tokenizer.vocab_size = 5 is too small" in done.err


def test_training_data_with_one_label(config_file, tmp_path, loomlm_command):
    path = config_file()
    (tmp_path / "train.csv").write_text("text,label\nrain,weather\nwind,weather\n")

    done = loomlm_command("run", path)

    assert done.code == 2
    assert "'weather'" in done.err


def test_an_existing_run_is_refused_with_every_way_on(config_file, loomlm_command):
    path = config_file(steps="5")
    assert loomlm_command("run", path).code == 0

    done = loomlm_command("run", path, "--set", "backbone.width=8")

    assert done.code == 2
    for part in ("backbone.width: 16 there, 8 now", "--resume", "--overwrite", "--set name="):
        assert part in done.err


def test_a_path_that_cannot_be_written(config_file, tmp_path, loomlm_command):
    (tmp_path / "file").write_text("")

    done = loomlm_command("run", config_file(), "--runs", tmp_path / "file")

    assert done.code == 2
    assert str(tmp_path / "file") in done.err


def test_a_missing_config_and_a_misspelt_command(config_file, tmp_path, loomlm_command):
    config_file()

    missing = loomlm_command("run", "mi.toml")
    misspelt = loomlm_command("evalute", "runs/small")

    assert missing.code == 2
    assert "Did you mean 'my.toml'?" in missing.err
    assert misspelt.code == 2
    assert "evaluate" in misspelt.err
