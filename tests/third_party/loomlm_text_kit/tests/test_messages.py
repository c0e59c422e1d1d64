"""The template's config, and a run of it with all the parts."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import loomlm

TOPICS = {"glad": ("great", "love"), "sad": ("awful", "hate")}


@pytest.fixture(autouse=True)
def _texts() -> None:
    """train.csv: 160 texts, each twice, the second time written louder and longer."""
    lines = ["text,label"]
    for number in range(160):
        label = list(TOPICS)[number % 2]
        word = TOPICS[label][number // 2 % 2]
        lines += [
            f"it is {word}!!! no {number},{label}",
            f"IT IS {word}!!!!!!! no {number},{label}",
        ]
    Path("train.csv").write_text("\n".join(lines) + "\n")


def loomlm_says(*words: str, code: int = 0) -> str:
    """What a command prints, in a process of its own: TensorFlow sets its threads once in each."""
    command = [sys.executable, "-m", "loomlm", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def write(backend: str) -> str:
    """The config that `loomlm init messages` writes."""
    given = ["--train", "train.csv", "--text", "text", "--label", "label", "--backend", backend]
    loomlm_says("init", "messages", *given, "--name", "said", "--output", "my.toml")
    return "my.toml"


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_the_config_for_some_data_runs(backend):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    keys = ("epochs=12", "compile=false", "threads=1")
    changes = [word for key in keys for word in ("--set", f"trainer.{key}")]

    loomlm_says("run", write(backend), *changes)

    folder = Path("runs/said")
    scores = json.loads((folder / "evaluation.json").read_text())["finetune"]
    assert scores["test"]["accuracy"] > 0.95
    answer = json.loads(loomlm_says("predict", str(folder), "LOVE itttttt!!!!!!!"))
    assert answer["label"] == "glad"
    # Of 256 texts to train on, 150 or so are not the same. 12 epochs of all were 96 steps.
    lines = (folder / "finetune" / "metrics.jsonl").read_text().splitlines()
    assert 48 <= json.loads(lines[-1])["step"] <= 72


def test_it_names_the_parts():
    (stage,) = loomlm.load_config(write("torch")).settings.stages

    assert [choice.type for choice in stage.extensions] == ["deduplicate"]
    assert [choice.type for choice in stage.data.clean] == ["unicode", "repeats", "whitespace"]
    assert stage.data.split.test == 0.2


def test_without_data_it_is_a_config_to_fill_in():
    Path("filled.toml").write_text(loomlm_says("init", "messages", "--backend", "torch"))

    trainer = loomlm.load_config("filled.toml").settings.stages[0].trainer
    assert (trainer.optimizer.type, trainer.schedule.type) == ("lion", "inverse_root")


def test_data_without_labels_is_refused():
    Path("plain.txt").write_text("one\ntwo\n")

    said = loomlm_says("init", "messages", "--train", "plain.txt", code=2)

    assert "The data has no labels. Name their column with --label." in said
