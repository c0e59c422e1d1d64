"""The loss of a head without all of its logits at once: the same as with them."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from attrs import evolve

from loomlm.contracts import Batch

from ..whole import Whole

MODELS = {
    "tied": ("transformer", {"layers": 1, "width": 16, "heads": 2}),
    "a matrix and a bias of its own": ("transformer", {"width": 16, "heads": 2, "tied": False}),
    "recurrent": ("rnn", {"width": 10}),
}
ROWS = np.random.default_rng(3).integers(1, 20, (4, 6)).astype(np.int32)
WEIGHT = np.array([[1, 0.5, 2, 0, 1, 1]] * 3 + [[1, 1, 0, 0, 0, 0]], np.float32)


@pytest.fixture
def in_parts(backend, monkeypatch):
    """Has losses be taken in parts of at most 75 logits; the list has one for each loss traced."""
    chunked = import_module(f"loomlm_{backend}.chunked")
    user = import_module(f"loomlm_{backend}.{'model' if backend == 'torch' else 'engine'}")
    taken = []

    def counted(*arguments):
        taken.append(True)
        return chunked.chunked_loss(*arguments)

    def switch():
        monkeypatch.setattr(chunked, "PART", 75)
        if backend == "tensorflow":
            monkeypatch.setattr(user, "LARGE", 75)
        monkeypatch.setattr(user, "chunked_loss", counted)
        return taken

    return switch


def learnt(model: Whole, smoothing: float = 0.0) -> tuple[list[float], list[np.ndarray]]:
    """The losses and the weights of three updates."""
    engine = model.engine
    engine.spec = evolve(engine.spec, loss=evolve(engine.spec.loss, label_smoothing=smoothing))
    batch = Batch({**model.batch(ROWS.tolist()).arrays, "label": ROWS[:, ::-1].copy()})
    batch = Batch({**batch.arrays, "weight": WEIGHT})
    for step in range(1, 4):
        model.learn(batch, step=step)
    return [one.loss for one in engine.scalars()], [np.array(v) for _, v in engine.state("model")]


@pytest.mark.parametrize("smoothing", [0, 0.2])
@pytest.mark.parametrize("name", MODELS)
def test_a_loss_in_parts_is_that_of_the_whole(small_model, in_parts, name, smoothing):
    kind, keys = MODELS[name]
    losses, weights = learnt(small_model(kind, **keys), smoothing)
    taken = in_parts()

    found, learnt_weights = learnt(small_model(kind, **keys), smoothing)

    assert taken
    assert found == pytest.approx(losses, rel=2e-6)
    # Adam divides a gradient by its size, so that roundings show in small ones; an update is 1e-2.
    for one, other in zip(weights, learnt_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_two_runs_in_parts_have_the_same_bits(small_model, in_parts):
    in_parts()
    kind, keys = MODELS["tied"]

    (_, first), (_, second) = (learnt(small_model(kind, **keys)) for _ in range(2))

    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(("precision", "parts"), [("fp16", False), ("bf16", True)])
def test_a_loss_that_is_scaled_is_taken_whole(small_model, in_parts, precision, parts):
    taken = in_parts()
    kind, keys = MODELS["recurrent"]

    losses, _ = learnt(small_model(kind, precision=precision, **keys))

    assert bool(taken) == parts
    assert np.isfinite(losses).all()
