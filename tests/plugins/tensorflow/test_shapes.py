"""A step is traced once for each shape that a batch comes in, and those are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import StepContext
from loomlm_tensorflow.shapes import PROGRAMS, kept_shapes

from ..small import batch

pytestmark = pytest.mark.one_backend("tensorflow")


def train(engine, widths: list[int]) -> None:
    for step, width in enumerate(widths, 1):
        context = StepContext(step=step, seed=step, learning_rate=0.1 / step)
        engine.train_step([batch(step, time=width)], context)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_shape_that_came_before_is_not_traced_again(make_engine, compiled):
    engine = make_engine(compile=compiled)

    train(engine, [3, 5, 8])
    assert engine.traces == 3
    train(engine, [8, 3, 5, 5, 3, 8])
    assert engine.traces == 3
    # What scores has one program for all shapes, and is no trace of the step.
    assert len({engine.score(batch(1, time=width), logits=False)[0] for width in (2, 4, 7)}) == 3
    assert engine.traces == 3


@given(st.sets(st.integers(1, 500), min_size=1))
def test_of_many_shapes_some_are_kept_and_the_largest_is_one(widths):
    kept = [shape["time"] for shape in kept_shapes([{"time": width} for width in widths])]

    assert len(kept) == len(widths) if len(widths) <= PROGRAMS else len(kept) > PROGRAMS // 2
    assert kept == sorted(set(kept) & widths)
    assert len(kept) <= PROGRAMS
    assert kept[-1] == max(widths)


def test_a_batch_of_many_short_rows_is_not_filled_up_to_the_width_of_few_long_ones():
    shapes = [{"batch": 16, "time": 8}, {"batch": 4, "time": 32}, {"batch": 8, "time": 16}]

    assert [shape["time"] for shape in kept_shapes(shapes)] == [8, 16, 32]


@pytest.mark.parametrize("keys", [{"ngrams": 2, "buckets": 50}, {"window": 3}])
def test_rows_that_are_filled_up_to_a_kept_shape_train_alike(small_model, keys):
    few, all_ = (
        small_model("mlp", "classification", width=6, widths=widths, **keys)
        for widths in (range(1, 21), ())
    )
    lengths = [3, 8, 15, 20, 3, 14]

    for length in lengths:
        rows = [[(length * place) % 20 for place in range(length)]] * 3
        few.trained(rows, seed=length)
        all_.trained(rows, seed=length)

    assert few.engine.traces < all_.engine.traces == len(set(lengths))
    for name, value in few.weights().items():
        assert value == pytest.approx(all_.weights()[name], abs=1e-5), name
    assert few.forward([[1, 2], [3]]) == pytest.approx(all_.forward([[1, 2], [3]]), abs=1e-5)


def test_all_widths_of_a_task_come_to_8_programs_at_most(small_model):
    model = small_model("mlp", "classification", width=6, widths=range(1, 21), window=2)

    for length in range(1, 21):
        model.trained(np.ones((2, length), np.int32).tolist(), seed=length)

    assert model.engine.traces <= PROGRAMS
