"""What backbones that read from left to right do beyond what every backbone promises."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.contracts import Batch

from ..whole import greedy

TRANSFORMER = {"layers": 2, "width": 16, "heads": 4}
GPT2 = {
    "positions": "learned",
    "max_positions": 32,
    "norm": "layernorm",
    "activation": "gelu_tanh",
    "bias": True,
}
MODELS = {
    "transformer": ("transformer", TRANSFORMER),
    "gpt2": ("transformer", {**TRANSFORMER, **GPT2}),
    "untied": ("transformer", {**TRANSFORMER, "tied": False, "activation": "gelu", "bias": True}),
    "lstm": ("rnn", {"width": 10}),
    "gru": ("rnn", {"width": 10, "cell": "gru"}),
    "window": ("mlp", {"width": 8, "window": 4}),
    "deep window": ("mlp", {"width": 8, "window": 3, "hidden": (12, 10), "activation": "tanh"}),
}
ROWS = [[3, 1, 4, 1, 5, 9, 2], [6, 5], [3], [5, 8, 9, 7]]


@pytest.fixture(scope="module")
def made() -> dict:
    """Models that were made before; tests put back what they change."""
    return {}


@pytest.fixture(params=MODELS)
def name(request) -> str:
    return request.param


@pytest.fixture
def model(name, small_model, backend, made):
    if (backend, name) not in made:
        kind, keys = MODELS[name]
        made[backend, name] = small_model(kind, **keys)
    return made[backend, name]


def test_what_stands_before_has_its_say(model):
    before, after = model.forward([[3, 1, 4, 2, 5]]), model.forward([[3, 1, 9, 2, 5]])

    moved = abs(before - after).max(axis=2)[0]
    reach = getattr(model.recipe.backbone.config, "window", 3)
    assert moved[2 : 2 + reach].min() > 1e-3


def test_greedy_text_is_the_same_without_the_cache(model):
    prompt = model.batch(ROWS)
    prompt = Batch({name: prompt[name] for name in ("tokens", "length")})

    found = greedy(model, prompt, 10)

    rows = [list(row) for row in ROWS]
    for step in range(10):
        for row in rows:
            logits = model.forward([row])[0, -1]
            logits[model.tokenizer.pad_id] = -np.inf
            row.append(int(logits.argmax()))
        assert [row[-1] for row in rows] == [tokens[step] for tokens in found]


def test_a_tied_embedding_is_one_tensor_stored_once(model):
    names = [name for name, _ in model.engine.state("model")]
    tied = model.recipe.backbone.tied is not None

    assert ("head.weight" in names) == (not tied)
    assert "backbone.embedding.weight" in names
    # A word that is not read, only written.
    before, table = model.forward([[3, 1]]), model.weights()["embedding.weight"]
    model.set({"embedding.weight": table * (np.arange(20) != 19)[:, None]})
    after = model.forward([[3, 1]])
    model.reset()
    assert (after != before).any(axis=(0, 1)).tolist() == [False] * 19 + [tied]


def test_gradients_flow_after_a_first_use_on_longer_rows(model):
    """What is made for longer rows in evaluation must be fit for training."""
    length = min(model.recipe.backbone.longest or 1200, 1200)
    model.forward([[1] * length])

    first = model.trained([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], 1)
    model.reset()

    assert all(np.isfinite(value).all() for value in first)
