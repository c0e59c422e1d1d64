"""`loomlm init pretrain`: what it writes passes the check, fits the text, and trains."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import DataSummary
from loomlm_templates.pretrain import fit

pytestmark = pytest.mark.one_backend


@pytest.fixture
def init(init_template) -> Callable[..., dict]:
    """The config that `loomlm init pretrain` writes."""
    return partial(init_template, "pretrain")


def test_without_files_it_is_a_template(init):
    written = init()

    assert written["stages"][0]["data"]["train"] == "corpus.txt"
    assert written["stages"][0]["task"]["type"] == "causal_lm"


@pytest.mark.each_backend
def test_the_config_for_a_text_trains_and_writes(init, loomlm_command):
    Path("play.txt").write_text("To be, or not to be:\nthat is the question.\n\n" * 400)
    written = init("--train", "play.txt")

    data = written["stages"][0]["data"]
    assert data["documents"] == "file"
    assert data["split"] == {"validation": 0.1, "by": "position"}
    assert written["name"] == "play"
    short = ("--set", "stages.pretrain.trainer.steps=3", "--set", "backbone.layers=1")
    assert loomlm_command("run", "my.toml", *short).code == 0
    scores = json.loads(Path("runs/play/evaluation.json").read_text())["pretrain"]["validation"]
    assert scores["bits_per_byte"] > 0
    assert "To be" in loomlm_command("generate", "runs/play", "--prompt", "To be").out


def test_long_lines_are_documents(init):
    lines = [f"{'A film that I have seen, and will see again. ' * 6}{i}\n" for i in range(300)]
    Path("reviews.txt").write_text("".join(lines))

    data = init("--train", "reviews.txt")["stages"][0]["data"]

    assert "documents" not in data
    assert data["split"]["by"] == "random"


def test_what_the_data_says_itself_is_kept(init):
    Path("a.txt").write_text("one\ntwo\n\nthree\n" * 300)
    Path("b.jsonl").write_text('{"text": "one two three"}\n' * 300)

    told = init("--train", "a.txt", "--data", "documents=paragraph")
    tables = init("--train", "b.jsonl", "--validation", "b.jsonl")

    assert told["stages"][0]["data"]["documents"] == "paragraph"
    assert "documents" not in tables["stages"][0]["data"]
    assert "split" not in tables["stages"][0]["data"]


@given(characters=st.integers(1, 10**13), examples=st.integers(1, 10**8))
def test_the_rules_hold_for_any_text(characters, examples):
    text = DataSummary(
        examples=examples,
        labels={},
        multi_label=False,
        words={0.5: 1, 0.95: 1, 1.0: 1},
        total_words=characters // 5,
        characters=characters,
        markup=0.0,
    )

    fitted = fit(text, is_plain=True)

    assert fitted.width % fitted.heads == 0
    assert 0 < fitted.validation <= 0.1
    assert 500 <= fitted.steps <= 20_000
    assert 1024 <= fitted.vocab_size <= 16_384
    assert fitted.learning_rate > 0
