"""Bad data in a whole run: exit code 2, one paragraph, no traceback; skipped lines are counted."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def run(config_file, topics, command):
    """`loomlm run` on a config of a few steps; gives exit code, standard output and error."""

    def call(*settings: str, data: str = "", **files: str | bytes) -> tuple[int, str, str]:
        path = config_file(steps="4")
        if data:
            lines = path.read_text().splitlines()
            path.write_text("\n".join([*lines[:-1], f"data = {{ {data} }}"]))
        for name, content in files.items():
            file = Path(name.replace("_", "."))
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        assignments = [word for setting in settings for word in ("--set", setting)]
        return command("run", str(path), *assignments)

    return call


def error(result: tuple[int, str, str]) -> str:
    """The message of a run that was refused: the last line, the only one that is an error."""
    code, out, err = result
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    *before, last = err.splitlines()
    assert last.startswith("Error: ")
    assert not any("rror" in line for line in before)
    return last.removeprefix("Error: ")


def evaluation() -> dict:
    path = Path(os.environ["LOOMLM_RUNS"], "small", "evaluation.json")
    return json.loads(path.read_text())["finetune"]["test"]


def test_a_label_that_only_the_test_file_has(run):
    message = error(run(test_csv="text,label\nrain,weather\nrian,wether\n"))
    assert "test.csv:3" in message
    assert "wether" in message


def test_a_column_that_is_not_there(run):
    message = error(run("stages.finetune.data.label=lable"))
    assert "train.csv:1: there is no column 'lable'; the columns are: text, label." in message
    assert "Did you mean 'label'?" in message


def test_an_archive_that_ends_too_early(run):
    packed = gzip.compress(b"text,label\n" + os.urandom(4000).hex().encode())
    message = error(
        run(data='train = "cut.csv.gz", label = "label"', cut_csv_gz=packed[: len(packed) // 2])
    )
    assert "cut.csv.gz:2: a truncated archive" in message


def test_a_missing_file(run):
    message = error(run("stages.finetune.data.test=tset.csv"))
    assert "tset.csv. Did you mean 'test.csv'?" in message


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"text,label\nrain,weather\nr\xe4in,weather\n", "bad.csv:3: bytes that are not UTF-8."),
        (b"text,label\nrain,weather\nsoup\n", "bad.csv:3: 1 field, not 2."),
        (b'text,label\nrain,weather\n"soup,food\n', "bad.csv:3: not csv: a quote is opened"),
        (b"text,label\n", "bad.csv has no example."),
        (b"", "bad.csv is empty."),
    ],
)
def test_lines_that_cannot_be_read(run, content, place):
    assert place in error(run("stages.finetune.data.train=bad.csv", bad_csv=content))


def test_keys_that_cannot_be_meant_are_found_before_data_is_read(run):
    message = error(run('stages.finetune.data.delimiter="||"'))
    assert "delimiter must be one character" in message


def test_skipped_lines_are_counted_where_the_user_looks_each_time(run):
    rows = Path("train.csv").read_bytes().splitlines(keepends=True)
    rows[5:5] = [b"r\xe4in,weather\n", b"soup\n"]
    settings = ["stages.finetune.data.on_bad_line=skip", "name=small"]
    for more in ([], ["seed=3", "name=again"]):
        code, _, err = run(*settings, *more, train_csv=b"".join(rows))
        assert code == 0, err
        assert "train.csv: 2 lines skipped that cannot be read, the first is line 6." in err
        assert "test.csv" not in err


@pytest.mark.parametrize("form", ["csv", "jsonl", "tsv"])
def test_odd_texts_go_all_the_way(run, form):
    texts = [
        "",
        " ",
        "a\x01b",
        "\ufeff",
        "e\u0301\u200d\U0001f600",
        "word " * 3000,
        "\x85\u2028",
    ]
    rows = [(text, label) for text in texts for label in ("one", "two")]
    if form == "jsonl":
        rows += [(text, label) for text in ("half \ud83d", "a\0b") for label in ("one", "two")]
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    else:
        between = {"csv": ",", "tsv": "\t"}[form]
        lines = [f"text{between}label", *(f"{text}{between}{label}" for text, label in rows)]
    name = f"odd.{form}"
    code, _, err = run(
        data=f'train = "{name}", test = "{name}", label = "label"',
        **{name.replace(".", "_"): "".join(f"{line}\n" for line in lines)},
    )
    assert code == 0, err
    assert evaluation()["accuracy"] == 0.5


def test_a_test_file_without_header_and_names_of_labels(run):
    train = "".join(f"{n},rain wind,again\n{3 - n},soup rice,today\n" for n in (1, 1, 1, 1))
    code, _, err = run(
        data='train = "a.csv", test = "b.csv", text = ["title", "body"], label = "class", '
        'header = { test = false }, label_names = "names.txt"',
        a_csv="class,title,body\n" + train,
        b_csv=train,
        names_txt="weather\nfood\n",
    )
    assert code == 0, err
    path = Path(os.environ["LOOMLM_RUNS"], "small", "model", "config.json")
    assert "weather" in path.read_text()
