"""Whole runs: each backbone learns to write and, from there, to classify."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import loomlm

BACKBONES = {
    "transformer": 'type = "transformer"\nlayers = 1\nwidth = 16\nheads = 2',
    "rnn": 'type = "rnn"\nlayers = 2\nwidth = 16\nweight_dropout = 0.1\nembedding_dropout = 0.1',
    "mlp": 'type = "mlp"\nwindow = 4\nwidth = 16',
}
CONFIG = """\
name = "chain"
backend = "{backend}"

[tokenizer]
type = "bpe"
vocab_size = 400

[backbone]
{backbone}

[trainer]
batch_size = 8
learning_rate = 1e-2
threads = 1
compile = false

[[stages]]
name = "pretrain"
task = {{ type = "causal_lm", context = 32 }}
data = {{ train = "corpus.txt", split = {{ validation = 0.1, by = "position" }} }}
trainer = {{ steps = 30 }}

[[stages]]
name = "finetune"
init_from = "pretrain"
task = "classification"
data = {{ train = "train.csv", test = "test.csv", label = "label" }}
trainer = {{ steps = 60 }}
"""


@pytest.fixture
def folder(tmp_path, topics) -> Path:
    """A corpus beside the files of texts with topics: the text of a module of Python's."""
    (tmp_path / "corpus.txt").write_text(Path(os.__file__).read_text("utf-8")[:20_000], "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", BACKBONES)
def test_pretrained_then_fine_tuned(folder, name, backend):
    config = CONFIG.format(backend=backend, backbone=BACKBONES[name])
    (folder / "my.toml").write_text(config)

    done = loomlm.run(loomlm.load_config(folder / "my.toml"))

    losses = [float(n) for n in re.findall(r'"loss": ([\d.]+)', metrics(done.folder, "pretrain"))]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    assert done.evaluation["finetune"]["test"]["accuracy"] > 0.5
    assert loomlm.load_model(done.folder, "pretrain").generate("import ", max_tokens=40, seed=1)


def metrics(folder: Path, stage: str) -> str:
    return (folder / stage / "metrics.jsonl").read_text()
