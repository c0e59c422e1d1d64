"""Batches of predictions are no larger than their rows need."""

from __future__ import annotations

import numpy as np
import pytest

import loomlm

TEXTS = ["rain", "the rain falls on the hills", "wind", "a cold wind from the north, and snow", ""]


@pytest.fixture
def shapes(backend, monkeypatch):
    """The shapes that forward passes are given."""
    engine = {"torch": "TorchEngine", "tensorflow": "TensorFlowEngine"}[backend]
    module = pytest.importorskip(f"loomlm_{backend}.engine")
    seen, forward = [], getattr(module, engine).forward

    def noted(self, batch):
        seen.append(batch.arrays["tokens"].shape)
        return forward(self, batch)

    monkeypatch.setattr(getattr(module, engine), "forward", noted)
    return seen


def test_a_batch_is_as_large_as_its_rows_and_says_what_a_larger_one_does(config_file, shapes):
    backbone = '{ type = "transformer", layers = 1, width = 16, heads = 2 }'
    config = loomlm.load_config(config_file(steps="2"), set=[f"backbone={backbone}"])
    run = loomlm.run(config)
    model = loomlm.load_model(run.folder)

    found = model.predict(TEXTS, batch_size=2)

    lengths = sorted(len(row) for row in np.split(*_cut(model.tokenizer.encode_many(TEXTS))))
    assert shapes == [(2, max(1, lengths[1])), (2, lengths[3]), (1, lengths[4])]
    together = model.predict(TEXTS)
    for one, other in zip(found, together, strict=True):
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def _cut(rows):
    return rows.values, rows.offsets[1:-1]
