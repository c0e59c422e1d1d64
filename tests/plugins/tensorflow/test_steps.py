"""A step as one traced program: compiled or not, in microbatches or not, the same update."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loomlm.contracts import StepContext

from ..small import SmallConfig, batch, cut, state

pytestmark = pytest.mark.one_backend("tensorflow")


def train(engine: Any, pieces: int = 1, steps: int = 5) -> list[float]:
    for step in range(1, steps + 1):
        context = StepContext(step=step, seed=17, learning_rate=0.02)
        engine.train_step(cut(batch(step), pieces), context)
    return [scalars.loss for scalars in engine.scalars()]


@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize(
    ("sparse", "optimizer", "precision"),
    [(True, "adamw", "fp32"), (False, "muon", "fp32"), (True, "sgd", "fp16")],
)
def test_compiling_changes_no_update(make_engine, sparse, optimizer, precision, pieces):
    config = SmallConfig(sparse, dropout=0.3)
    plain, fast = (
        make_engine(config, optimizer, precision=precision, compile=how, accumulate=pieces)
        for how in (False, True)
    )

    near = {"fp32": 1e-5, "fp16": 0.02}[precision]
    assert train(fast, pieces) == pytest.approx(train(plain, pieces), rel=near)
    found, expected = state(fast), state(plain)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=near, abs=10 * near), name


MODELS = {
    "transformer": ("transformer", "causal_lm", {"layers": 2, "width": 16, "heads": 4}),
    "lstm": ("rnn", "classification", {"width": 10, "bidirectional": True, "pooling": "max"}),
    "gru": ("rnn", "causal_lm", {"width": 10, "cell": "gru", "weight_dropout": 0.3}),
    "words": ("mlp", "classification", {"ngrams": 2, "buckets": 50, "word_dropout": 0.2}),
}


@pytest.mark.parametrize("name", MODELS)
def test_built_in_backbones_train_compiled_as_they_do_otherwise(small_model, name):
    kind, task, keys = MODELS[name]
    plain, fast = (
        small_model(kind, task, compiled=how, dropout=0.3, **keys) for how in (False, True)
    )
    rows = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]

    for model in (plain, fast):
        model.trained(rows, seed=1, steps=4)

    found, expected = ([s.loss for s in m.engine.scalars()] for m in (fast, plain))
    assert found == pytest.approx(expected, rel=1e-5)
    assert len(set(found)) == 4
    assert fast.forward(rows) == pytest.approx(plain.forward(rows), abs=1e-3)


def test_a_batch_in_4_microbatches_is_one_program_and_the_same_update(make_engine):
    whole, pieced = (make_engine(accumulate=pieces) for pieces in (1, 4))

    assert train(pieced, 4) == pytest.approx(train(whole), abs=1e-6)
    assert pieced.traces == whole.traces == 1
    expected = state(whole)
    for name, value in state(pieced).items():
        assert value == pytest.approx(expected[name], abs=1e-5), name


def test_a_last_batch_with_fewer_microbatches_is_the_same_program(make_engine):
    short, whole = make_engine(accumulate=4), make_engine()
    context = StepContext(step=1, seed=17, learning_rate=0.1)

    for number, size in ((1, 8), (2, 4)):
        short.train_step(cut(batch(number, size), size // 2), context)
        whole.train_step([batch(number, size)], context)

    assert short.traces == 1
    expected = state(whole)
    for name, value in state(short).items():
        assert value == pytest.approx(expected[name], abs=1e-5), name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_16_bits_losses_logits_and_weights_are_float32(small_model, make_engine, precision):
    engine = make_engine(precision=precision)

    engine.train_step([batch(1)], StepContext(step=1, seed=17, learning_rate=0.1))

    assert engine.forward(batch(1)).dtype == np.float32
    assert engine.score(batch(1), logits=True)[1].dtype == np.float32
    assert {variable.dtype for variable in engine.module.trainable_variables} == {"float32"}
    half = {"bf16": "bfloat16", "fp16": "float16"}[precision]
    assert engine.module.head.compute_dtype == half
    # A loss that was rounded to 16 bits would be one of theirs.
    loss = np.float32(engine.scalars()[0].loss)
    assert loss != np.float32(np.float16(loss))
