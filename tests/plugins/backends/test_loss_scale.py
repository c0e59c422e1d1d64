"""fp16: the loss scale that keeps small gradients, and what it does when they grow too large."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.contracts import Batch, Engine, StepContext

from ..small import batch


def scaler(engine: Engine) -> tuple[float, int]:
    """The scale, and the number of good steps in a row."""
    state = dict(engine.state("optimizer"))
    return state["scaler.scale"].item(), state["scaler.good"].item()


def start(make_engine, scale: float | None = None, good: int = 0, **keys) -> Engine:
    engine = make_engine(precision="fp16", **keys)
    if scale is not None:
        state = {"scaler.scale": np.float32([scale]), "scaler.good": np.int32([good])}
        engine.load_state("optimizer", state.items())
    return engine


def train(engine: Engine, steps: int, data: Batch | None = None) -> list[bool]:
    """Whether each step counts as finite."""
    for step in range(1, steps + 1):
        engine.train_step(
            [data or batch(step)], StepContext(step=step, seed=17, learning_rate=0.01)
        )
    return [s.finite for s in engine.scalars()]


def weights(engine: Engine) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in engine.state("model")}


def test_it_starts_high_and_counts_good_steps(make_engine):
    engine = start(make_engine)

    assert scaler(engine) == (2**16, 0)
    calm = Batch({**batch(1).arrays, "label": engine.forward(batch(1)).argmax(1).astype(np.int32)})
    assert train(engine, 3, calm) == [True] * 3
    assert scaler(engine) == (2**16, 3)


def test_a_step_whose_gradient_overflows_is_left_out_and_stops_nobody(make_engine):
    engine = start(make_engine, scale=2.0**24)
    before = weights(engine)

    assert train(engine, 1) == [True]

    assert scaler(engine) == (2**23, 0)
    assert all(np.array_equal(value, before[name]) for name, value in engine.state("model"))
    assert train(engine, 20) == [True] * 20
    assert scaler(engine)[0] < 2**23
    assert scaler(engine)[1] > 0
    assert not all(np.array_equal(value, before[name]) for name, value in engine.state("model"))


def test_a_loss_that_no_scale_mends_is_not_finite(make_engine):
    engine = start(make_engine)
    before = weights(engine)
    lost = Batch({**batch(1).arrays, "weight": np.full(8, np.nan, np.float32)})

    assert train(engine, 2, lost) == [False, False]

    assert all(np.array_equal(value, before[name]) for name, value in engine.state("model"))


def test_it_doubles_after_2000_good_steps(make_engine):
    engine = start(make_engine, scale=2.0**10, good=1998)

    train(engine, 1)
    assert scaler(engine) == (2**10, 1999)
    train(engine, 1)
    assert scaler(engine) == (2**11, 0)


@pytest.mark.parametrize("clip", ["off", 0.05])
def test_the_scale_does_not_change_the_update(make_engine, clip):
    # SGD: to Adam, a constant factor of all gradients is nothing.
    keys = {"optimizer": "sgd", "gradient_clip": clip}
    low, high = (start(make_engine, scale, **keys) for scale in (2.0**6, 2.0**10))
    before = weights(low)

    train(low, 5)
    train(high, 5)

    expected = weights(low)
    for name, value in high.state("model"):
        moved = float(np.abs(expected[name] - before[name]).max())
        assert value == pytest.approx(expected[name], abs=0.02 * moved)


def test_only_fp16_has_one(make_engine):
    names = {name for name, _ in make_engine(precision="bf16").state("optimizer")}

    assert not any(name.startswith("scaler") for name in names)
