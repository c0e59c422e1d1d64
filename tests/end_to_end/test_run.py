"""Whole runs on small text: from a csv file to an evaluated model, and back from its folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import loomlm

LOOMLM = [sys.executable, "-m", "loomlm"]


def lines(folder: Path) -> list[dict]:
    path = folder / "finetune" / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_a_run_learns_and_leaves_what_the_docs_say(config_file):
    run = loomlm.run(config_file())

    assert run.evaluation["finetune"]["test"]["accuracy"] > 0.95
    names = {path.name for path in run.folder.iterdir()}
    assert {"config.toml", "environment.json", "tokenizer", "finetune", "model"} <= names
    assert [line["step"] for line in lines(run.folder)] == list(range(1, 101))
    assert lines(run.folder)[-1]["loss"] < lines(run.folder)[0]["loss"]


def test_the_model_predicts_the_same_in_any_order_and_batch(config_file):
    model = loomlm.run(config_file()).model()

    texts = ["rain and wind", "soup with rice", "", "the team had a very long match in the end"]
    together = model.predict(texts)
    alone = [model.predict([text])[0] for text in texts]

    assert [p["label"] for p in together] == [p["label"] for p in alone]
    assert together[0]["label"] == "weather"
    assert sum(together[1]["probabilities"].values()) == pytest.approx(1)


@pytest.mark.one_backend("torch")
def test_the_module_is_plain_torch(config_file):
    import torch

    model = loomlm.load_model(loomlm.run(config_file()).folder, device="cpu")

    batch = {name: torch.from_numpy(array) for name, array in model.batch(["rain"]).items()}
    assert isinstance(model.module, torch.nn.Module)
    assert model.labels[int(model.module(batch).argmax())] == "weather"


def test_the_same_config_gives_the_same_bits(config_file):
    path = config_file()
    first = loomlm.run(path, runs="a")
    second = loomlm.run(path, runs="b")

    assert weights(first.folder) == weights(second.folder)
    assert lines(first.folder) == lines(second.folder)


def test_accumulation_gives_the_same_curve(config_file):
    path = config_file()
    dropout_off = ["backbone.dropout=0", "backbone.word_dropout=0"]
    whole = loomlm.run(loomlm.load_config(path, set=dropout_off), runs="whole")
    cut = loomlm.run(
        loomlm.load_config(path, set=[*dropout_off, "trainer.accumulate=4"]), runs="cut"
    )

    expected = [line["loss"] for line in lines(whole.folder)]
    assert [line["loss"] for line in lines(cut.folder)] == pytest.approx(expected, abs=1e-4)


def test_a_killed_run_resumes_to_the_same_bits(config_file, tmp_path):
    path = config_file(checkpoint_every="20")
    through = loomlm.run(path, runs="through")

    slow = tmp_path / "slow.py"
    slow.write_text(
        "import os, signal\n"
        "from loomlm.plugin import hookimpl\n"
        "@hookimpl\n"
        "def loomlm_checkpoint_saved(event):\n"
        "    if event.step == 60:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [*LOOMLM, "run", str(path), "--runs", "killed", "-p", str(slow)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    resumed = loomlm.run(path, runs="killed", resume="must")

    assert weights(resumed.folder) == weights(through.folder)
    assert lines(resumed.folder) == lines(through.folder)
    assert resumed.evaluation == through.evaluation


@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
def test_an_interrupt_saves_and_names_the_command_that_resumes(config_file, tmp_path):
    path = config_file(steps="100000")
    process = subprocess.Popen(
        [*LOOMLM, "run", str(path), "--runs", "stopped"], stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "stopped" / "small" / "finetune" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"loomlm run {path} --runs stopped --resume" in errors
    assert any((metrics.parent / "checkpoints").iterdir())


def test_keep_best_and_early_stopping(config_file):
    settings = [
        "stages.finetune.data.split={validation=0.25}",
        "trainer.evaluate_every=5",
        'trainer.keep_best="accuracy"',
        'trainer.early_stopping={patience=3, metric="accuracy"}',
    ]
    run = loomlm.run(loomlm.load_config(config_file(steps="2000"), set=settings))

    scores = [line for line in lines(run.folder) if line["split"] == "validation"]
    best = max(line["accuracy"] for line in scores)
    assert scores[-1]["step"] < 2000
    assert run.evaluation["finetune"]["validation"]["accuracy"] == best


@pytest.mark.one_backend
def test_an_existing_run_is_kept_unless_told_otherwise(config_file):
    path = config_file()
    first = loomlm.run(path)
    before = weights(first.folder)

    with pytest.raises(loomlm.UsageError, match=r"holds this run already.*--overwrite"):
        loomlm.run(path)
    with pytest.raises(loomlm.UsageError, match="seed: 17 there, 3 now"):
        loomlm.run(loomlm.load_config(path, set=["seed=3"]), resume="auto")
    assert weights(first.folder) == before
    assert loomlm.run(path, resume="auto").evaluation == first.evaluation


@pytest.mark.one_backend
def test_overwrite_with_bad_data_leaves_the_old_run(config_file, tmp_path):
    path = config_file()
    before = weights(loomlm.run(path).folder)
    (tmp_path / "train.csv").write_text("text,label\n")

    with pytest.raises(loomlm.DataError):
        loomlm.run(path, overwrite=True)

    assert weights(tmp_path / "runs" / "small") == before


def test_multi_label(config_file, tmp_path):
    rows = ["text,label"]
    for index in range(200):
        rows.append(f"rain soup number {index % 7},weather|food")
        rows.append(f"rain wind number {index % 5},weather")
        rows.append(f"soup bread number {index % 3},food")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "test.csv").write_text("\n".join(rows[:30]) + "\n")
    task = 'stages.finetune.task={type="classification", multi_label=true, separator="|"}'
    run = loomlm.run(loomlm.load_config(config_file(), set=[task]))

    assert run.evaluation["finetune"]["test"]["accuracy"] > 0.9
    assert run.model().predict(["rain soup"])[0]["labels"] in (
        ["weather", "food"],
        ["food", "weather"],
    )


@pytest.mark.parametrize("size", [{}, {"batch_tokens": "160"}])
def test_rows_are_padded_to_no_more_than_the_model_can_read(config_file, size):
    backbone = '{ type = "transformer", layers = 1, width = 16, heads = 2, positions = "learned", '
    settings = [
        f"backbone={backbone} max_positions = 10 }}",
        "stages.finetune.task={ type = 'classification', max_tokens = 10 }",
    ]
    run = loomlm.run(loomlm.load_config(config_file(steps="5", **size), set=settings))

    assert run.model().predict(["rain and wind " * 20])[0]["label"]
