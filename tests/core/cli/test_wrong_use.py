"""Wrong use of the commands: a message that says what to do, the right exit code, no loss."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def run(config_file, loomlm_command) -> Path:
    """The folder of a short run that has ended."""
    assert loomlm_command("run", config_file(steps="5")).code == 0
    return Path("runs/small")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rn", "my.toml"), "There is no command 'rn'. Did you mean 'run'?"),
        (("run",), "Missing argument 'CONFIG.toml'"),
        (("run", "a.toml", "b.toml"), "unexpected extra argument"),
        (("run", "a.toml", "--resume=mabe"), "'mabe' is not one of 'auto', 'must', 'never'"),
        (("run", "a.toml", "--resum"), "No such option '--resum'"),
        (("run", "a.toml", "--set"), "'--set' requires an argument"),
        (("config", "chek", "a.toml"), "chek"),
        (("config", "check", "."), ". is a folder; a config is a .toml file."),
        (("config", "schema", "nothing.toml"), "There is no config nothing.toml"),
        (("plugins", "-p", "no:tokenisers"), "Did you mean 'tokenizers'?"),
        (("plugins", "-p", "nobody.py"), "there is no file"),
        (("predict", "runs/nothing", "text"), "There is no run or model in runs/nothing."),
        (("evaluate", "runs/nothing"), "runs/nothing is not a run: it has no config.toml."),
    ],
)
def test_wrong_words_end_with_code_2_and_what_is_wrong(loomlm_command, words, said):
    done = loomlm_command(*words)

    assert done.code == 2
    assert done.out == ""
    assert said in done.err


@pytest.mark.parametrize("command", [("check",), ("show",), ("schema",)])
def test_every_config_command_has_help(loomlm_command, command):
    done = loomlm_command("config", *command, "--help")

    assert done.code == 0
    assert "CONFIG.toml" in done.out


def test_python_m_loomlm_ends_with_the_same_code():
    command = [sys.executable, "-m", "loomlm", "run", "nothing.toml"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == "Error: There is no config nothing.toml.\n"


def test_evaluate_wants_a_run_and_one_thing_to_score(run, loomlm_command):
    model = loomlm_command("evaluate", run / "model")
    parent = loomlm_command("evaluate", "runs")
    both = loomlm_command("evaluate", run, "--data", "test.csv", "--split", "test")

    assert (model.code, parent.code, both.code) == (2, 2, 2)
    assert f"{run / 'model'} is a model; give the folder of its run, such as {run}." in model.err
    assert "Known: small." in parent.err
    assert "Give --data or --split, not both." in both.err


def test_a_run_without_a_model_yet_says_how_to_go_on(run, loomlm_command):
    (run / "model").rename("elsewhere")

    for command in (("evaluate", run), ("predict", run, "text")):
        done = loomlm_command(*command)
        assert done.code == 2
        assert f"`loomlm run {run / 'config.toml'} --runs {run.parent} --resume=must`" in done.err


def test_predict_does_not_write_over_what_it_reads(run, loomlm_command):
    Path("in.jsonl").write_text('{"text": "rain"}\n')

    done = loomlm_command("predict", run, "--file", "in.jsonl", "--output", "./in.jsonl")

    assert done.code == 2
    assert "--output would overwrite --file" in done.err
    assert Path("in.jsonl").read_text() == '{"text": "rain"}\n'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.parquet", "", "in.parquet: predict reads .txt, .jsonl, .csv, .tsv, not .parquet."),
        ("in.csv", "Text,label\nrain,a\n", "in.csv: the header names no column `text`."),
        ("in.csv", "text,id\nrain,1\nsnow\n", "in.csv:3: 1 fields, and the header 2."),
        ("in.csv", 'text,id\n"rain,1\n', "in.csv:2: not csv: unexpected end of data."),
        ("in.tsv", "text\tid\n", "in.tsv has no text"),
    ],
)
def test_a_table_that_cannot_be_read_is_told_of(run, loomlm_command, name, content, said):
    Path(name).write_text(content)

    done = loomlm_command("predict", run, "--file", name)

    assert done.code == 2
    assert said in done.err


def test_tables_are_read_as_their_forms_say(run, loomlm_command):
    Path("in.csv").write_text('id,text\n7,"rain,\nand ""wind"""\n\n8,soup\n')
    Path("in.tsv").write_text('text\tlabel\nthe "rain\tfood\n')

    table = loomlm_command("predict", run, "--file", "in.csv").out.splitlines()
    (tabs,) = loomlm_command("predict", run, "--file", "in.tsv").out.splitlines()

    assert [json.loads(row)["text"] for row in table] == ['rain,\nand "wind"', "soup"]
    assert [json.loads(row)["id"] for row in table] == ["7", "8"]
    assert json.loads(tabs)["text"] == 'the "rain'
    assert json.loads(tabs)["given_label"] == "food"


def test_any_text_comes_back_as_it_was_given(run, loomlm_command, monkeypatch):
    texts = ["caf\xe9 \u65e5\u672c", "half \ud800 a pair", 'quotes " and \\ and \t']
    lines = [json.dumps({"text": text}) for text in texts]
    Path("in.jsonl").write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())

    loomlm_command("predict", run, "--file", "in.jsonl", "--output", "out.jsonl")
    written = Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    loomlm_command("predict", run, "--file", "in.jsonl")
    narrow.seek(0)

    assert [json.loads(line)["text"] for line in written] == texts
    assert [json.loads(line)["text"] for line in narrow] == texts


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_is_an_error_with_code_1(run, loomlm_command):
    done = loomlm_command("predict", run, "rain", "--output", "/dev/full")

    assert done.code == 1
    said = "Error: /dev/full cannot be written: No space left on device. Free space or choose"
    assert done.err.startswith(said) and done.err.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error(run):
    Path("in.txt").write_text("rain\n" * 20_000)
    command = [sys.executable, "-m", "loomlm", "predict", str(run), "--file", "in.txt"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"text": "rain"')
        process.stdout.close()
        errors = process.stderr.read()

    assert errors == b""
