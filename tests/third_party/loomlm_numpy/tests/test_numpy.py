"""What it does by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

import loomlm
from loomlm_numpy.layers import KeyedDropout, Rows

LAYERS = {"ngrams": 2, "buckets": 50, "hidden": [8]}
WRITING = {"type": "causal_lm", "context": 12}


def test_it_learns_with_dropout_and_gives_the_same_bits_again(train):
    dropout = {**LAYERS, "dropout": 0.2, "word_dropout": 0.1}

    run, curve = train("numpy", dropout, epochs=8, steps=None)
    again, same = train("numpy", dropout, epochs=8, steps=None, name="again")

    assert run.evaluation["only"]["validation"]["accuracy"] > 0.95
    assert curve == same
    weights = "model/model.safetensors"
    assert (run.folder / weights).read_bytes() == (again.folder / weights).read_bytes()


def test_dropout_is_drawn_anew_for_each_layer_microbatch_step_and_seed():
    shape = (200, 50)
    places = [(1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 1, 0)]
    drawn = []
    for place in places:
        dropout = KeyedDropout(*place)
        drawn += [dropout(shape, 0.25), dropout(shape, 0.25)]

    assert all(np.mean(one == 0) == pytest.approx(0.25, abs=0.02) for one in drawn)
    assert all(np.mean(one) == pytest.approx(1, abs=0.02) for one in drawn)
    assert len({one.tobytes() for one in drawn}) == 2 * len(places)
    assert np.array_equal(KeyedDropout(1, 2, 0)(shape, 0.25), drawn[4])


@pytest.mark.parametrize(
    ("backbone", "task"),
    [
        ({**LAYERS, "weighting": "tfidf", "pooling": "root"}, "classification"),
        ({"window": 3, "activation": "gelu"}, "classification"),
        ({"window": 3, "activation": "tanh"}, WRITING),
    ],
    ids=["pooled", "window", "writing"],
)
def test_gradients_are_those_of_the_loss_with_dropout_too(train, backbone, task):
    dropout = {"dropout": 0.2} | ({"word_dropout": 0.2} if "window" not in backbone else {})
    run, _ = train("numpy", {**backbone, **dropout}, task, steps=5)
    model = run.model()
    arrays = model.batch(["the rain was very it", "bread", "a wind it was a snow"])
    weights = {name: array.astype(np.float64) for name, array in model.module.weights.items()}
    if task is WRITING:
        weights["head.weight"] = weights["backbone.embedding.weight"]
    module = evolve(model.module, weights=weights)

    def loss() -> float:
        return module.learn(arrays, 3.0, KeyedDropout(1, 2, 0))[0]

    _, gradients = module.learn(arrays, 3.0, KeyedDropout(1, 2, 0))
    found = {name: whole(gradient, weights[name]) for name, gradient in gradients.items()}
    if task is WRITING:
        found["backbone.embedding.weight"] += found.pop("head.weight")
    assert len(found) >= 3
    for name, gradient in found.items():
        largest = np.argsort(np.abs(gradient), axis=None)[-5:]
        for place in zip(*np.unravel_index(largest, gradient.shape), strict=True):
            before, losses = weights[name][place], []
            for change in (1e-4, -1e-4):
                weights[name][place] = before + change
                losses.append(loss())
            weights[name][place] = before
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-4, abs=1e-5), name


def whole(gradient: Any, value: np.ndarray) -> np.ndarray:
    """A gradient as an array of its weight's shape."""
    if not isinstance(gradient, Rows):
        return gradient
    rows, total = gradient.summed(), np.zeros_like(value)
    total[rows.index] = rows.values
    return total


def test_logits_that_are_taken_by_parts_are_the_same(train):
    backbone = {"window": 3}

    whole, curve = train("numpy", backbone, WRITING)
    parts, other = train("numpy", backbone, WRITING, name="parts", own={"logits_at_once": 100})

    assert curve == pytest.approx(other, abs=1e-5)
    found, expected = (run.evaluation["only"]["validation"]["loss"] for run in (parts, whole))
    assert found == pytest.approx(expected, abs=1e-5)


def test_it_writes_text_that_it_has_read(train):
    run, _ = train("numpy", {"window": 8, "width": 24}, WRITING, steps=300)

    written = run.model().generate("the ", max_tokens=80, seed=3)

    assert {"rain", "wind", "snow", "soup", "bread", "rice"} & set(written.split())
    several = run.model().generate(["a", "the rain w"], beams=2, max_tokens=9)
    assert several[1] == run.model().generate("the rain w", beams=2, max_tokens=9)


def test_a_loss_that_is_lost_is_said(train):
    with pytest.raises(loomlm.LoomlmError, match="was no finite number but"):
        train("numpy", LAYERS, learning_rate=1e38, schedule="constant", gradient_clip="off")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"precision": "bf16"}, "computes in fp32, not in bf16"),
        ({"device": "cuda"}, "has no device 'cuda'"),
        ({"compile": True}, "compiles nothing"),
    ],
)
def test_what_numpy_cannot_do_is_said(train, keys, said):
    with pytest.raises(loomlm.UsageError, match=said):
        train("numpy", LAYERS, **keys)


def test_a_backbone_that_it_cannot_build_is_named(train):
    with pytest.raises(loomlm.LoomlmError, match="'transformer' has no builder for .* 'numpy'"):
        train("numpy", {"type": "transformer", "layers": 1, "heads": 2})
