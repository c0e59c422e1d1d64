"""It comes to what PyTorch comes to, and each goes on with what the other did."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loomlm
from loomlm.plugin import CheckpointSaved, hookimpl

pytest.importorskip("torch")

WRITING = {"type": "causal_lm", "context": 12}
NGRAMS = {"ngrams": 2, "buckets": 50, "weighting": "tfidf", "pooling": "root"}
MODELS: dict[str, tuple[dict[str, Any], Any]] = {
    "mean": ({}, "classification"),
    "layers": ({"hidden": [16, 8]}, "classification"),
    "tfidf": ({**NGRAMS, "hidden": [8], "activation": "tanh"}, "classification"),
    "smoothed": ({"ngrams": 3, "buckets": 40}, {"type": "classification", "label_smoothing": 0.1}),
    "several": (
        {},
        {
            "type": "classification",
            "multi_label": True,
            "separator": "|",
            "label_smoothing": 0.1,
        },
    ),
    "weighted": ({}, {"type": "classification", "class_weights": "balanced"}),
    "window": ({"window": 3, "activation": "gelu"}, "classification"),
    "writing": ({"window": 4, "hidden": [16, 12], "activation": "gelu"}, WRITING),
    "untied": ({"window": 2, "hidden": [16], "activation": "tanh"}, WRITING),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_loss_is_that_of_torch(train, name):
    backbone, task = MODELS[name]

    ours, theirs = (train(backend, backbone, task)[1] for backend in ("numpy", "torch"))

    assert len(ours) == 100
    assert ours == pytest.approx(theirs, abs=1e-5, rel=0)
    assert np.mean(ours[-10:]) < ours[0] - 0.01


@pytest.mark.parametrize(
    "trainer",
    [
        {"accumulate": 4},
        {"gradient_clip": 0.1},
        {"gradient_clip": "off"},
        {"optimizer": {"type": "adamw", "weight_decay": 0.5, "beta1": 0.8}},
        {"optimizer": {"type": "sgd"}, "learning_rate": 0.5},
        {"optimizer": {"type": "sgd", "momentum": 0.9, "weight_decay": 0.01}},
        {"optimizer": "muon"},
        {"schedule": {"type": "cosine", "warmup": 20}},
    ],
    ids=str,
)
def test_so_it_is_however_it_is_trained(train, trainer):
    backbone = {"ngrams": 2, "buckets": 50, "hidden": [8]}

    ours, theirs = (train(backend, backbone, **trainer)[1] for backend in ("numpy", "torch"))

    assert ours == pytest.approx(theirs, abs=1e-5, rel=0)


@pytest.mark.parametrize(("one", "other"), [("numpy", "torch"), ("torch", "numpy")])
@pytest.mark.parametrize("name", ["tfidf", "writing"])
def test_either_loads_the_models_of_the_other(train, one, other, name):
    run, _ = train(one, *MODELS[name])

    first, second = (loomlm.load_model(run.folder, backend=name) for name in (one, other))

    if name == "writing":
        assert first.generate("the ", temperature=0) == second.generate("the ", temperature=0)
        return
    texts = ["the rain was very", "bread", ""]
    for ours, theirs in zip(first.predict(texts), second.predict(texts), strict=True):
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-5)


class KeepAt50:
    """Copies a run as it was behind step 50: what a process that was killed then leaves."""

    @hookimpl
    def loomlm_checkpoint_saved(self, event: CheckpointSaved) -> None:
        if event.step == 50:
            run = Path(event.folder).parents[2]
            shutil.copytree(run, run.parents[1] / "stopped" / run.name)


@pytest.mark.parametrize(("one", "other"), [("numpy", "torch"), ("torch", "numpy")])
@pytest.mark.parametrize("name", ["tfidf", "writing"])
def test_either_goes_on_with_the_runs_of_the_other(train, losses, one, other, name):
    run, whole = train(one, *MODELS[name], checkpoint_every=50, observers=[KeepAt50()])

    config = loomlm.load_config(run.folder / "config.toml", backend=other)
    rest = loomlm.run(config, runs="stopped", resume="must")

    assert losses(rest.folder) == pytest.approx(whole, abs=1e-5, rel=0)
