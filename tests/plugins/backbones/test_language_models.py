"""What every backbone that reads from left to right promises, with every option that it has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loomlm.contracts import Batch

from ..whole import greedy

TRANSFORMER = {"layers": 2, "width": 16, "heads": 4}
LEARNED = {"positions": "learned", "max_positions": 32}
GPT2 = {**LEARNED, "norm": "layernorm", "activation": "gelu_tanh", "bias": True}
MODELS = {
    "transformer": ("transformer", TRANSFORMER),
    "gpt2": ("transformer", {**TRANSFORMER, **GPT2}),
    "grouped": ("transformer", {**TRANSFORMER, "kv_heads": 2}),
    "one key": ("transformer", {**TRANSFORMER, **GPT2, "kv_heads": 1}),
    "post": ("transformer", {**TRANSFORMER, "norm_place": "post", "norm": "layernorm"}),
    "qk_norm": ("transformer", {**TRANSFORMER, "qk_norm": True, "rotary_base": 100.0}),
    "layer qk_norm": ("transformer", {**TRANSFORMER, **GPT2, "qk_norm": True}),
    "untied": ("transformer", {**TRANSFORMER, "tied": False, "activation": "gelu", "bias": True}),
    "always causal": ("transformer", {**TRANSFORMER, "causal": True, "hidden": 7}),
    "lstm": ("rnn", {"width": 10}),
    "deep lstm": ("rnn", {"width": 6, "embedding": 9, "layers": 3, "tied": False}),
    "gru": ("rnn", {"width": 10, "cell": "gru"}),
    "one gru": ("rnn", {"width": 10, "cell": "gru", "layers": 1}),
    "window": ("mlp", {"width": 8, "window": 4}),
    "deep window": ("mlp", {"width": 8, "window": 3, "hidden": (12, 10), "activation": "tanh"}),
    "one token": ("mlp", {"width": 8, "window": 1}),
}
ROWS = [[3, 1, 4, 1, 5, 9, 2], [6, 5], [3], [5, 8, 9, 7]]

small = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


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


def test_the_module_bears_the_names_and_shapes_of_the_layout(model):
    built = {name: array.shape for name, array in model.engine.state("model")}

    assert built == {p.name: p.shape for p in model.layout if p.tied_to is None}
    assert model.count() == sum(map(math.prod, built.values()))


@small
@given(data=st.data())
def test_what_follows_changes_nothing_before_it(model, data):
    row = data.draw(st.lists(st.integers(0, 19), min_size=2, max_size=14))
    cut = data.draw(st.integers(1, len(row) - 1))
    other = data.draw(st.lists(st.integers(0, 19), max_size=12))

    whole = model.forward([row])[0, :cut]
    changed = model.forward([row[:cut] + other])[0, :cut]

    assert changed == pytest.approx(whole, abs=1e-5)


def test_what_stands_before_has_its_say(model):
    before, after = model.forward([[3, 1, 4, 2, 5]]), model.forward([[3, 1, 9, 2, 5]])

    moved = abs(before - after).max(axis=2)[0]
    reach = getattr(model.recipe.backbone.config, "window", 3)
    assert moved[2 : 2 + reach].min() > 1e-3


def test_padding_changes_nothing(model):
    together = model.forward(ROWS, 9)

    for row, found in zip(ROWS, together, strict=True):
        assert found[: len(row)] == pytest.approx(model.forward([row])[0], abs=1e-5)


def test_token_by_token_gives_what_the_whole_row_gives(model):
    longer = [[*row, 7, 0, 19, 11, 7] for row in ROWS]
    expected = model.forward(longer)

    cache, logits = model.engine.start(model.batch(ROWS), 12)
    for more in range(6):
        for row, found in enumerate(logits):
            place = len(ROWS[row]) + more - 1
            assert found == pytest.approx(expected[row, place], abs=1e-5)
        if more < 5:
            logits = model.engine.step(cache, np.full(4, longer[0][7 + more], np.int32))


def test_rows_of_a_cache_can_be_taken_in_any_order(model):
    expected = model.forward([ROWS[2] + [8], ROWS[0] + [4], ROWS[2] + [4]])

    cache, _ = model.engine.start(model.batch(ROWS), 12)
    taken = model.engine.reorder(cache, np.array([2, 0, 2]))
    logits = model.engine.step(taken, np.array([8, 4, 4], np.int32))

    assert logits[0] == pytest.approx(expected[0, 1], abs=1e-5)
    assert logits[1] == pytest.approx(expected[1, 7], abs=1e-5)
    assert logits[2] == pytest.approx(expected[2, 1], abs=1e-5)


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


def test_dropout_is_keyed_by_the_seed_and_off_in_use(name, model, small_model):
    kind, keys = MODELS[name]
    rows = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]
    models = {0.0: model, 0.5: small_model(kind, **keys, dropout=0.5)}
    quiet = {share: model.forward(rows) for share, model in models.items()}

    def trained(seed: int, dropout: float):
        found = models[dropout].trained(rows, seed, steps=2)
        models[dropout].reset()
        return found

    def same(one, other) -> bool:
        return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))

    dropped = trained(1, 0.5)
    assert same(dropped, trained(1, 0.5))
    assert not same(dropped, trained(2, 0.5))
    assert same(trained(1, 0.0), trained(2, 0.0))
    assert not same(dropped, trained(1, 0.0))
    assert np.array_equal(quiet[0.5], quiet[0.0])


def test_gradients_flow_after_a_first_use_on_longer_rows(model):
    """What is made for longer rows in evaluation must be fit for training."""
    length = min(model.recipe.backbone.longest or 1200, 1200)
    model.forward([[1] * length])

    first = model.trained([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], 1)
    model.reset()

    assert all(np.isfinite(value).all() for value in first)
