"""`loomlm generate`: what it writes, which model it takes, and what it refuses."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import loomlm
from loomlm.inference.decoding import Decoding

pytestmark = pytest.mark.one_backend


@pytest.fixture
def run(lm_config) -> Path:
    return loomlm.run(lm_config()).folder


@pytest.fixture
def two_stages(lm_config) -> Path:
    return loomlm.run(lm_config(finetune=True)).folder


def pipe(monkeypatch, content: bytes) -> None:
    """Make standard input a pipe with this content."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_the_prompt_comes_first_and_a_line_s_end_last(run, loomlm_command):
    done = loomlm_command("generate", run, "--prompt", "the rain", "--max-tokens", 30)

    model = loomlm.load_model(run)
    assert done.code == 0, done.err
    assert done.out == "the rain" + model.generate("the rain", max_tokens=30) + "\n"
    assert done.err.startswith("Loading code that the config names: ")
    assert len(done.err.splitlines()) == 1
    assert len(done.out) > len("the rain") + 5


def test_the_defaults_are_those_of_python(run, loomlm_command):
    written = loomlm_command("generate", run, "--prompt", "rain").out

    assert written == "rain" + loomlm.load_model(run).generate("rain") + "\n"
    helped = loomlm_command("generate", "--help").out
    for default in (Decoding().max_tokens, Decoding().temperature, Decoding().seed):
        assert f"{default} by default" in " ".join(helped.split())


def test_each_option_reaches_the_model(run, loomlm_command):
    def write(*words):
        return loomlm_command("generate", run, "--prompt", "t", "--max-tokens", 40, *words).out

    plain = write()
    changed = {
        words: write(*words)
        for words in [
            ("--seed", 1),
            ("--temperature", 0),
            ("--temperature", 3),
            ("--top-k", 2),
            ("--top-p", 0.1),
            ("--beams", 3),
        ]
    }
    assert plain == write("--seed", 0)
    assert all(text != plain for text in changed.values())
    assert changed["--top-k", 2] != changed["--temperature", 0]


@pytest.mark.parametrize("words", [(), ("--prompt", "-")])
@pytest.mark.parametrize("content", [b"the rain", b"the rain\n", b"the rain\r\n"])
def test_a_prompt_is_read_from_a_pipe(words, content, run, loomlm_command, monkeypatch):
    pipe(monkeypatch, content)

    done = loomlm_command("generate", run, *words, "--max-tokens", 5)

    assert done.out.startswith("the rain")
    assert (
        done.out == loomlm_command("generate", run, "--prompt", "the rain", "--max-tokens", 5).out
    )


def test_without_a_prompt_a_document_begins(run, loomlm_command, monkeypatch):
    pipe(monkeypatch, b"")

    done = loomlm_command("generate", run, "--temperature", 0)

    assert done.out == loomlm.load_model(run).generate("", temperature=0) + "\n"
    assert len(done.out) > 5


@pytest.mark.skipif(os.name == "nt", reason="terminals as on POSIX")
def test_in_a_terminal_nothing_is_waited_for(run):
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "loomlm", "generate", str(run), "--max-tokens", "3"],
        stdin=theirs,
        capture_output=True,
        timeout=60,
        check=True,
    )
    os.close(ours)
    os.close(theirs)

    assert len(done.stdout) > 1


def test_text_is_written_as_it_comes(run, monkeypatch, loomlm_command):
    written = []
    monkeypatch.setattr(
        "click.echo",
        lambda text="", nl=True, err=False: None if err else written.append(text + "\n" * nl),
    )

    loomlm_command("generate", run, "--prompt", "the", "--max-tokens", 8)

    assert written[0] == "the"
    assert [len(piece) for piece in written[1:-1]] == [1] * 8
    assert written[-1] == "\n"


def test_of_a_run_the_last_stage_that_writes_is_taken(two_stages, loomlm_command):
    words = ("--prompt", "rain", "--max-tokens", 10)
    done = loomlm_command("generate", two_stages, *words)

    assert done.code == 0, done.err
    assert done.out == loomlm_command("generate", two_stages / "pretrain", *words).out
    assert done.out == loomlm_command("generate", two_stages, "--stage", "pretrain", *words).out
    assert (
        done.out
        == loomlm_command(
            "generate",
            two_stages / "pretrain/model",
            "-p",
            Path(__file__).parents[2] / "local_plugins/tiny.py",
            *words,
        ).out
    )


def test_the_stages_of_a_run_from_python(two_stages):
    model = loomlm.load_model(two_stages, "pretrain")

    assert model.generate(["rain", "soup"], max_tokens=4)[0] == model.generate("rain", max_tokens=4)
    assert "".join(model.stream("rain", max_tokens=4)) == model.generate("rain", max_tokens=4)
    assert loomlm.load_model(two_stages).predict(["rain"])[0]["label"]
    assert loomlm.load_model(two_stages, stage="finetune").labels
    assert loomlm.load_model(two_stages / "finetune").labels
    with pytest.raises(loomlm.UsageError, match="classification writes no text; it predicts"):
        loomlm.load_model(two_stages).generate("rain")
    with pytest.raises(loomlm.UsageError, match="causal_lm gives no labels.*loomlm generate"):
        model.predict(["rain"])


def test_a_run_that_is_not_over_writes_with_what_it_has(two_stages, loomlm_command):
    (two_stages / "model" / "config.json").unlink()

    assert loomlm_command("generate", two_stages, "--prompt", "rain").code == 0
    refused = loomlm_command("generate", two_stages, "--stage", "finetune", "--prompt", "rain")
    assert refused.code == 2
    assert "has no model yet" in refused.err


def test_a_classifier_writes_nothing(config_file, loomlm_command):
    loomlm.run(config_file(steps="2"))

    for words in (("runs/small",), ("runs/small/model",), ("runs/small", "--stage", "finetune")):
        done = loomlm_command("generate", *words, "--prompt", "rain")
        assert done.code == 2
        assert done.out == ""
        assert "classification" in done.err
        assert "writes" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prompt", "日本"), ("The prompt '日本'", "vocabulary")),
        (("--prompt", "a", "--temperature", "-1"), ("temperature = -1.0",)),
        (("--prompt", "a", "--temperature", "hot"), ("hot",)),
        (("--prompt", "a", "--top-p", "0"), ("top_p = 0.0",)),
        (("--prompt", "a", "--top-p", "1.5"), ("top_p = 1.5",)),
        (("--prompt", "a", "--top-k", "0"), ("top_k = 0",)),
        (("--prompt", "a", "--max-tokens", "0"), ("max_tokens = 0",)),
        (("--prompt", "a", "--beams", "2", "--top-k", "3"), ("Beam search",)),
        (("--prompt", "a", "--stage", "pretran"), ("no stage 'pretran'", "'pretrain'?")),
    ],
)
def test_what_cannot_be_is_one_error(words, said, run, loomlm_command):
    done = loomlm_command("generate", run, *words)

    assert done.code == 2
    assert done.out == ""
    for part in said:
        assert part in done.err


def test_paths_that_are_no_run(run, loomlm_command):
    for path, said in (
        ("runs/ml", "There is no run or model in runs/ml. Did you mean 'lm'?"),
        ("runs", "There is no run or model in runs."),
        (run / "model", ""),
    ):
        done = loomlm_command("generate", path, "--stage", "pretrain", "--prompt", "a")
        assert done.code == 2
        assert said in done.err or "is not a run" in done.err


def test_bytes_that_are_no_text(run, loomlm_command, monkeypatch):
    pipe(monkeypatch, b"caf\xe9")

    done = loomlm_command("generate", run)

    assert done.code == 2
    assert "not UTF-8" in done.err
