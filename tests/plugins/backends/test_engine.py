"""What the engines promise beyond every trainer's promises: precision, dropout's keys, errors."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Batch, Engine, StepContext
from loomlm.errors import PluginError, UsageError

from ..small import SmallConfig, batch, state


def context(step: int, seed: int = 17, rate: float = 0.05) -> StepContext:
    return StepContext(step=step, seed=seed, learning_rate=rate)


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.array_equal(array, second[name]), name


def spoilt(data: Batch, value: float) -> Batch:
    return Batch({**data.arrays, "weight": np.full_like(data["weight"], value)})


def test_examples_of_weight_zero_do_not_count(make_engine):
    some, all_ = (make_engine(SmallConfig(sparse=False)) for _ in range(2))
    data = batch(1)
    weight = data["weight"].copy()
    weight[5:] = 0

    some.train_step([Batch({n: a[:5] for n, a in data.arrays.items()})], context(1))
    all_.train_step([Batch({**data.arrays, "weight": weight})], context(1))

    assert all_.scalars()[0].loss == pytest.approx(some.scalars()[0].loss, rel=1e-5)
    assert all_.score(spoilt(data, 0), logits=False) == (0, None)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_16_bits_are_near_float32_and_keep_float32_weights(
    make_engine, precision, optimizer, sparse
):
    exact, fast = (
        make_engine(SmallConfig(sparse), optimizer, precision=each) for each in ("fp32", precision)
    )

    if precision == "fp16":  # so that no step is left out
        fast.load_state("optimizer", [("scaler.scale", np.float32([2**10]))])
    for step in range(1, 31):
        for engine in (exact, fast):
            engine.train_step([batch(step % 3)], context(step, rate=0.01))

    reference, scalars = exact.scalars(), fast.scalars()
    expected, found = [s.loss for s in reference], [s.loss for s in scalars]
    assert found != expected
    assert found == pytest.approx(expected, abs=0.05)
    assert expected[-1] < expected[0] * 0.8
    assert scalars[0].gradient_norm == pytest.approx(reference[0].gradient_norm, rel=0.02)
    assert {array.dtype for _, array in fast.state("model")} == {np.dtype(np.float32)}
    assert fast.forward(batch(1)).dtype == np.float32
    assert fast.forward(batch(1)) == pytest.approx(exact.forward(batch(1)), abs=0.2)


def losses(engine: Engine, steps: list[StepContext], pieces: int = 1) -> list[float]:
    """The loss of each step at the initial weights."""
    for step in steps:
        engine.train_step([batch(1)] * pieces, evolve(step, learning_rate=0.0))
    return [s.loss for s in engine.scalars()]


def draw_elsewhere(backend: str) -> None:
    """Take numbers from the framework's own generator, and seed it anew."""
    if backend == "torch":
        import torch

        torch.manual_seed(99)
        torch.rand(1000)
    else:
        from loomlm_tensorflow.framework import keras, tf

        keras.utils.set_random_seed(99)
        tf.random.uniform([1000])


def test_dropout_goes_by_seed_and_step_alone(make_engine, backend):
    engine = make_engine(SmallConfig(dropout=0.5))
    steps = [context(step) for step in range(1, 6)]

    first = losses(engine, steps)
    draw_elsewhere(backend)
    second = losses(engine, steps[::-1])

    assert first == second[::-1]
    assert len(set(first)) == len(steps)
    assert losses(engine, [context(1, seed=18)]) != first[:1]


def test_dropout_differs_between_microbatches(make_engine):
    engine = make_engine(SmallConfig(dropout=0.5))

    once, twice = losses(engine, [context(1)])[0], losses(engine, [context(1)], pieces=2)[0]

    assert twice != pytest.approx(once, abs=1e-6)
    calm = make_engine(SmallConfig(dropout=0.0))
    assert losses(calm, [context(1)], 2) == pytest.approx(losses(calm, [context(1)]), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_run_in_16_bits_goes_on_from_its_state(make_engine, optimizer):
    keys = {"momentum": 0.9} if optimizer == "sgd" else {}
    config = SmallConfig(dropout=0.3)
    through, stopped, resumed = (
        make_engine(config, optimizer, keys, precision="fp16") for _ in range(3)
    )
    for engine in (through, stopped):
        for step in (1, 2, 3):
            engine.train_step([batch(step)], context(step))

    for part in ("model", "optimizer"):
        resumed.load_state(part, stopped.state(part))
    for engine in (through, resumed):
        for step in (4, 5):
            engine.train_step([batch(step)], context(step))

    assert_same(state(resumed), state(through))


def test_a_module_that_is_not_its_layouts_is_found_at_once(make_engine, trainer, builders):
    engine = make_engine()
    first, *rest = engine.spec.layout
    wrong = evolve(engine.spec, layout=(evolve(first, shape=(21, 6)), *rest))

    with pytest.raises(PluginError, match=r"at backbone.table.weight: built \(20, 6\), stated"):
        trainer.engine(wrong, engine.trainer, builders)


def test_auto_is_settled_with_a_reason_and_a_device_must_exist(trainer, backend, registry):
    backbone = registry.find("backbone", "mlp").component
    mlp = backbone.load()(backbone.config())

    settled = trainer.resolve(TrainerConfig(device="cpu"), mlp)

    assert {name: value for name, (value, _) in settled.items()} == {
        "precision": "fp32",
        "compile": backend == "tensorflow",
        "threads": 1,
    }
    assert all(reason for _, reason in settled.values())
    fixed = TrainerConfig(device="cpu", precision="bf16", compile=False, threads=1)
    assert trainer.resolve(fixed, mlp) == {}
    assert trainer.resolve(TrainerConfig(), mlp)["device"][0] == trainer.devices()[0].name
    with pytest.raises(UsageError, match=r"no device 'cpuu' here. Did you mean 'cpu'\?"):
        trainer.resolve(TrainerConfig(device="cpuu"), mlp)
