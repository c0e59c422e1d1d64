"""Language models from text to text: learning, going on after a kill, beginning with a model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import loomlm
from loomlm.contracts import Batch
from loomlm.training import run as running

pytestmark = pytest.mark.one_backend

LOOMLM = [sys.executable, "-m", "loomlm"]
KILL = """
import os, signal
from loomlm.plugin import hookimpl

@hookimpl
def loomlm_checkpoint_saved(event):
    if (event.stage, event.step) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def lines(folder: Path, stage: str = "pretrain") -> list[dict]:
    text = (folder / stage / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def run(path: Path, *settings: str, **how) -> Path:
    return loomlm.run(loomlm.load_config(path, set=settings), **how).folder


@pytest.mark.each_backend
def test_a_language_model_learns_and_is_scored(lm_config, loomlm_command):
    folder = run(lm_config(steps="150"))

    losses = [line["loss"] for line in lines(folder) if line["split"] == "train"]
    assert losses[-1] < losses[0] - 1
    scores = json.loads((folder / "evaluation.json").read_text())["pretrain"]["validation"]
    assert scores["perplexity"] == pytest.approx(2.718281828 ** scores["loss"])
    assert 1 < scores["bits_per_byte"] < 4
    shown = loomlm_command("evaluate", folder, "--split", "validation").out
    assert f"{scores['perplexity']:.4f}" in shown
    card = (folder / "model" / "README.md").read_text()
    assert "model.generate(" in card
    assert "model.predict(" not in card


@pytest.mark.each_backend
@pytest.mark.parametrize("part", [1 << 24, 1000])
def test_the_score_is_that_of_every_token_after_the_first(lm_config, backend, monkeypatch, part):
    """The sum over windows, by hand, from the model's own logits, however they are cut."""
    place = {"torch": "loomlm_torch.chunked", "tensorflow": "loomlm_tensorflow.model"}[backend]
    monkeypatch.setattr(f"{place}.PART", part)
    folder = run(lm_config(), "stages.pretrain.task.context=16")
    model = loomlm.load_model(folder)
    texts = Path("corpus.txt").read_text().splitlines()[-40:]

    ids = [
        i
        for text in texts
        for i in (*model.tokenizer.encode_many([text])[0], model.tokenizer.end_id)
    ]
    losses = []
    for start in range(0, len(ids) - 1, 16):
        window = np.array([ids[start : start + 17]])
        known, label = window[:, :-1].astype(np.int32), window[0, 1:]
        batch = Batch({"tokens": known, "length": np.array([known.shape[1]], np.int32)})
        logits = model.engine.forward(batch)[0].astype(float)
        odds = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(label)), label]
        losses += odds.tolist()
    scores = json.loads((folder / "evaluation.json").read_text())["pretrain"]["validation"]
    assert len(losses) == len(ids) - 1
    assert scores["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert scores["bits_per_byte"] == pytest.approx(
        sum(losses) / np.log(2) / sum(len(text.encode()) for text in texts), rel=1e-4
    )


@pytest.mark.each_backend
def test_packed_documents_are_learnt_and_scored_apart(lm_config, backend):
    """The score is that of every token of each document, from its own tokens alone."""
    packing = 'stages.pretrain.task={ type = "causal_lm", context = 96, packing = "bfd" }'
    split = 'stages.pretrain.data.split={ validation = 0.1, by = "position" }'
    folder = run(lm_config(steps="150", batch_tokens="288"), packing, split, BODY)
    model = loomlm.load_model(folder)

    losses = []
    for text in Path("corpus.txt").read_text().splitlines()[-40:]:
        end = model.tokenizer.end_id
        ids = np.array([[end, *model.tokenizer.encode_many([text])[0], end]], np.int32)
        known, label = ids[:, :-1], ids[0, 1:]
        arrays = {"tokens": known, "length": np.array([known.shape[1]], np.int32)}
        logits = model.engine.forward(Batch({**arrays, "segment": np.ones_like(known)}))[0]
        odds = np.log(np.exp(logits.astype(float)).sum(axis=1))
        losses += (odds - logits[np.arange(len(label)), label]).tolist()
    scores = json.loads((folder / "evaluation.json").read_text())["pretrain"]["validation"]
    assert scores["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert scores["loss"] < 1.8
    assert model.generate("the", max_tokens=5)


BODY = 'backbone={ type = "transformer", layers = 1, width = 32, heads = 2 }'


@pytest.mark.each_backend
def test_batches_by_tokens_have_few_shapes_that_an_engine_meets_once(config_file, monkeypatch):
    stages = []
    train = running.train
    monkeypatch.setattr(
        running, "train", lambda stage, *a: (stages.append(stage), train(stage, *a))
    )
    path = config_file(epochs="6", batch_tokens="128", accumulate="2")
    text = Path("train.csv").read_text().replace("today ", "today and on the next day too ")
    Path("train.csv").write_text(text)

    done = loomlm.run(path)

    (stage,) = stages
    assert len(stage.plan.shapes) > 1
    assert all(rows * width <= 128 and rows % 2 == 0 for rows, width in stage.plan.shapes)
    assert getattr(stage.engine, "traces", 0) <= len(stage.plan.shapes)
    assert stage.steps == 6 * stage.plan.steps_per_epoch
    assert done.evaluation["finetune"]["test"]["accuracy"] > 0.9
    assert "batch_tokens = 128" in (done.folder / "config.toml").read_text()
    loomlm.load_config(done.folder / "config.toml")


def test_much_padding_and_rows_longer_than_a_batch_are_told(config_file, loomlm_command):
    by_size = config_file(steps="1", batch_size="300")
    padded = loomlm_command("run", by_size)
    by_tokens = config_file("other", steps="1", batch_tokens="10", accumulate="2")
    long = loomlm_command("run", by_tokens)
    explained = loomlm_command("explain", by_tokens)

    said = padded.out + padded.err
    assert re.search(r"finetune: [3-9]\d% of a batch is padding; trainer.batch_tokens groups", said)
    said = long.out + long.err
    assert re.search(
        r"finetune: a batch of rows of (8|16) tokens has \d+, more than batch_tok", said
    )
    assert "TokenPlan" in explained.out
    assert "1 steps of up to 10 tokens" in explained.out


TRANSFORMER = '{ type = "transformer", layers = 2, width = 32, heads = 2, dropout = 0.3 }'
RNN = '{ type = "rnn", layers = 2, width = 24, dropout = 0.3, weight_dropout = 0.3 }'
MLP = '{ type = "mlp", width = 16, window = 4, hidden = [32], dropout = 0.3 }'


@pytest.mark.each_backend
@pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
@pytest.mark.parametrize(
    ("backbone", "at"),
    [
        (TRANSFORMER, ("pretrain", 40)),
        (TRANSFORMER, ("finetune", 40)),
        (RNN, ("pretrain", 60)),
        (MLP, ("pretrain", 40)),
    ],
)
def test_a_killed_run_resumes_to_the_same_bits(backbone, at, lm_config, tmp_path):
    path = lm_config(finetune=True, checkpoint_every="20")
    dropout = f"backbone={backbone}"
    through = run(path, dropout, runs="through")
    (tmp_path / "kill.py").write_text(KILL.format(at=at))

    killed = subprocess.run(
        [*LOOMLM, "run", path, "--runs", "killed", "-p", tmp_path / "kill.py", "--set", dropout],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    resumed = run(path, dropout, runs="killed", resume="must")

    assert weights(resumed) == weights(through)
    for stage in ("pretrain", "finetune"):
        assert lines(resumed, stage) == lines(through, stage)
    assert (resumed / "evaluation.json").read_bytes() == (through / "evaluation.json").read_bytes()


def begun(folder: Path) -> np.ndarray:
    """The embedding of a run's final model."""
    return load_file(folder / "model" / "model.safetensors")["backbone.embedding.weight"]


STILL = ["trainer.steps=1", "trainer.learning_rate=1e-12"]


@pytest.mark.parametrize("place", ["", "model", "pretrain", "pretrain/model"])
def test_a_stage_begins_with_a_run_s_or_a_stage_s_or_a_model_s_weights(place, lm_config):
    first = run(lm_config("first", finetune="pretrain" in place))
    expected = loomlm.load_model(first / place, plugins=[str(tiny())]).engine.state("model")
    named = (
        f'tokenizer.file="{(first / "tokenizer").resolve()}"',
        f'stages.pretrain.init_from="{first / place}"',
    )

    done = run(lm_config("second"), *named, *STILL)

    given = dict(expected)["backbone.embedding.weight"]
    assert begun(done) == pytest.approx(given, abs=1e-6)


def tiny() -> Path:
    return Path(__file__).parents[1] / "local_plugins" / "tiny.py"


@pytest.mark.each_backend
def test_a_stage_begins_with_the_stage_before(lm_config):
    folder = run(
        lm_config(finetune=True),
        "stages.finetune.trainer={steps=1, learning_rate=1e-12}",
    )

    before = loomlm.load_model(folder, "pretrain").engine.state("model")
    assert begun(folder) == pytest.approx(dict(before)["backbone.embedding.weight"], abs=1e-6)


@pytest.fixture
def first(lm_config) -> Path:
    """A run that others may begin with."""
    return run(lm_config("first", steps="2"))


def refused(loomlm_command, path: Path, first: Path, *settings: str) -> str:
    """What a run that begins with `first` and does not fit says; an older run of it stays."""
    words = ["--set", f'stages.pretrain.init_from="{first}"']
    assert path.read_text().startswith('name = "second"')
    for setting in settings:
        words += ["--set", setting]
    loomlm_command("run", path)
    before = weights(Path("runs/second"))
    done = loomlm_command("run", path, "--overwrite", *words)
    assert done.code == 2
    assert weights(Path("runs/second")) == before
    return done.err


def test_a_model_of_another_shape_is_told_by_its_parameters(first, lm_config, loomlm_command):
    file = f'tokenizer.file="{(first / "tokenizer").resolve()}"'
    said = refused(loomlm_command, lm_config("second", steps="2"), first, file, "backbone.width=12")

    assert "embedding.weight: (" in said
    assert ", 24) there, (" in said
    assert ", 12) here" in said


def test_a_model_of_another_vocabulary_is_told_by_its_size(first, lm_config, loomlm_command):
    size = "tokenizer.vocab_size=9"
    said = refused(loomlm_command, lm_config("second", steps="2"), first, size)

    assert "stages.pretrain.init_from" in said
    assert "has another vocabulary" in said
    assert ", 9 here" in said
    assert f'tokenizer.file = "{first}/model' in said


def test_a_model_of_another_tokenizer_of_one_size(first, lm_config, loomlm_command, tmp_path):
    corpus = Path("corpus.txt").read_text()
    (tmp_path / "corpus.txt").write_text(corpus.replace("a", "A").replace("e", "E"))
    said = refused(loomlm_command, lm_config("second", steps="2"), first)

    assert "tokens in both, not the same ones" in said


def test_what_the_error_proposes_works(first, lm_config):
    named = f'tokenizer.file="{(first / "model" / "tokenizer.json").resolve()}"'

    assert run(lm_config("second", steps="2"), named, f'stages.pretrain.init_from="{first}"')


def test_a_run_may_begin_with_itself_only_before_it_is_gone(first, lm_config, loomlm_command):
    """--overwrite would remove the model that the run is to begin with."""
    path = lm_config("first", steps="2")
    before = weights(first)

    done = loomlm_command(
        "run", path, "--overwrite", "--set", f'stages.pretrain.init_from="{first}"'
    )

    assert done.code == 2
    assert "would be removed" in done.err
    assert weights(first) == before


def test_no_such_model(lm_config, loomlm_command):
    done = loomlm_command("run", lm_config(), "--set", 'stages.pretrain.init_from="runs/nothing"')

    assert done.code == 2
    assert "runs/nothing" in done.err


@pytest.mark.each_backend
def test_a_run_that_began_with_a_model_resumes(lm_config, tmp_path):
    first = run(lm_config("first", steps="5"))
    path = lm_config("second", checkpoint_every="20", steps="40")
    named = (
        f'tokenizer.file="{(first / "tokenizer").resolve()}"',
        f'stages.pretrain.init_from="{first}"',
    )
    through = run(path, *named, runs="through")
    (tmp_path / "kill.py").write_text(KILL.format(at=("pretrain", 20)))
    words = [word for setting in named for word in ("--set", setting)]
    killed = subprocess.run(
        [*LOOMLM, "run", path, "--runs", "killed", "-p", tmp_path / "kill.py", *words], check=False
    )

    assert killed.returncode == -signal.SIGKILL
    resumed = run(path, *named, runs="killed", resume="must")
    assert weights(resumed) == weights(through)
    assert lines(resumed) == lines(through)


def test_a_context_longer_than_the_data(lm_config, loomlm_command):
    done = loomlm_command("run", lm_config(), "--set", "stages.pretrain.task.context=1000000")

    assert done.code == 2
    assert "The train split has" in done.err
    assert "a row of it needs 1,000,001" in done.err
    assert not Path("runs").exists()


def test_a_context_longer_than_the_backbone_reads(lm_config, loomlm_command):
    done = loomlm_command("run", lm_config(), "--set", "backbone.longest=16")

    assert done.code == 2
    assert "rows of up to 32 tokens are longer than the 16" in done.err


@pytest.mark.parametrize("content", ["", "\n", "\n\n\n", "  \n\t\n \n"])
def test_a_corpus_of_empty_lines(content, lm_config, loomlm_command, tmp_path):
    path = lm_config()
    (tmp_path / "corpus.txt").write_text(content)

    done = loomlm_command("run", path)

    assert done.code == 2, done.err
    assert "corpus.txt" in done.err or "training text" in done.err
    assert len(done.err.strip().splitlines()[-1]) < 300
    assert not Path("runs").exists()


@pytest.mark.one_backend
def test_beside_a_perplexity_stands_what_compares(lm_config, loomlm_command):
    settings = ["--set", 'stages.pretrain.metrics=["perplexity"]']
    done = loomlm_command("run", lm_config(steps="3"), *settings)
    shown = loomlm_command("evaluate", "runs/lm", "--split", "validation")

    scores = json.loads(Path("runs/lm/evaluation.json").read_text())["pretrain"]["validation"]
    texts = Path("corpus.txt").read_text().splitlines()[-40:]
    words = sum(len(text.split()) for text in texts)
    tokens = sum(len(text) + 1 for text in texts) - 1
    assert scores["word_perplexity"] == pytest.approx(
        np.exp(scores["loss"] * tokens / words), rel=1e-4
    )
    assert scores["bits_per_byte"] > 0
    (note,) = scores["details"]["notes"]
    assert f"Note: {note}" in done.out
    assert f"Note: {note}" in shown.out
    assert "not with one by words" in note
