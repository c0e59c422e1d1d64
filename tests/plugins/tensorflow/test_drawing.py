"""Dropout is a function of its key: how much is left out, and what the numbers depend on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from attrs import frozen

from loomlm.contracts import StepContext
from loomlm_tensorflow.drawing import drawing, dropout, uniform
from loomlm_tensorflow.engine import _key
from loomlm_tensorflow.framework import keras, tf

from ..small import SmallConfig, batch
from ..small_tensorflow import Small

pytestmark = [pytest.mark.one_backend("tensorflow"), pytest.mark.usefixtures("backend")]

COUNT = 200_000


def drawn(key: list[int], *places: int) -> list[np.ndarray]:
    """Numbers of each place in turn, so many each."""
    with drawing(tf.constant(key, tf.uint32)):
        return [uniform([count]).numpy() for count in places]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_so_large_a_share_is_left_out_and_the_mean_is_kept(share):
    with drawing(tf.constant([1, 2], tf.uint32)):
        kept = dropout(tf.ones([COUNT // 100, 100]), share, training=True).numpy()

    assert (kept == 0).mean() == pytest.approx(share, abs=0.005)
    assert kept.mean() == pytest.approx(1, abs=0.02)
    assert np.unique(kept) == pytest.approx([0, 1 / (1 - share)])
    # As much in each row and column as chance has it.
    for axis in (0, 1):
        size = kept.shape[axis]
        assert (kept == 0).mean(axis=axis).std() == pytest.approx(
            (share * (1 - share) / size) ** 0.5, rel=0.3
        )


def test_numbers_are_spread_evenly_below_1():
    (numbers,) = drawn([3, 4], COUNT)

    assert 0 <= numbers.min() < numbers.max() < 1
    counts = np.histogram(numbers, bins=50, range=(0, 1))[0]
    assert ((counts - COUNT / 50) ** 2 / (COUNT / 50)).sum() < 100  # chi-squared of 49: 1e-5


def test_the_same_key_gives_the_same_numbers_whatever_came_before():
    first = drawn([5, 6], 100, 100)
    tf.random.set_seed(1)
    drawn([7, 8], 3, 5, 7)

    again = drawn([5, 6], 100, 100)

    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))


def test_each_key_and_each_place_has_numbers_of_its_own():
    keys = [
        _key(seed, step, microbatch) for seed in (1, 2) for step in (1, 2) for microbatch in (0, 1)
    ]
    numbers = [part for key in keys for part in drawn(key, 10_000, 10_000)]

    for one, other in combinations(numbers, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
        # Nor is one the other, moved along.
        assert len(np.intersect1d(one[:200], other)) < 5


def test_compiled_and_with_open_shapes_the_numbers_are_the_same():
    def draw(key, x):
        with drawing(key):
            return dropout(x, 0.5, training=True)

    key, x = tf.constant([5, 6], tf.uint32), tf.random.stateless_normal([30, 7], [1, 2])
    expected = draw(key, x).numpy()

    for compiled in (False, True):
        specs = [tf.TensorSpec([2], tf.uint32), tf.TensorSpec([None, 7])]
        function = tf.function(draw, jit_compile=compiled, input_signature=specs)
        assert np.array_equal(function(key, x).numpy(), expected)


def test_without_training_or_a_share_nothing_is_left_out():
    x = tf.ones([100])

    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_one_mask_may_be_for_several_numbers():
    with drawing(tf.constant([1, 2], tf.uint32)):
        kept = dropout(tf.ones([50, 9, 4]), 0.5, training=True, shape=[50, 1, 4]).numpy()

    assert np.ptp(kept, axis=1).max() == 0
    assert 0.3 < (kept == 0).mean() < 0.7


@pytest.fixture(params=[True, False])
def exact(request):
    """Whether TensorFlow has been told to be deterministic, as an engine that trains does."""
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    switch = {True: config.enable_op_determinism, False: config.disable_op_determinism}
    switch[request.param]()
    tf.random.set_seed(None)
    yield request.param
    switch[before]()


@pytest.mark.usefixtures("exact")
def test_without_an_engine_each_call_draws_others():
    """As where a user lets Keras train the model."""
    call = tf.function(lambda: dropout(tf.ones([1000]), 0.5, training=True))

    first, second = call().numpy(), call().numpy()

    assert (first != second).any()
    assert (first == 0).mean() == pytest.approx(0.5, abs=0.1)


@frozen
class _Step:
    step: int
    seed: int = 17
    pieces: int = 1


class Dropping(Small):
    """The small model, with Keras' own dropout."""

    def __init__(self, spec) -> None:
        super().__init__(spec)
        self.drop = keras.layers.Dropout(0.5)
        self.more = keras.layers.SpatialDropout1D(0.5)

    def call(self, batch, training=False):
        hidden = super().call(batch, training)
        return self.more(self.drop(hidden, training=training)[None], training=training)[0]


@pytest.fixture
def builders(registry):
    def find(kind: str, name: str):
        return Dropping if kind == "backbone" else registry.builder(kind, name, "tensorflow")

    return find


def test_keras_own_dropout_goes_by_seed_step_and_microbatch(make_engine):
    engine = make_engine(SmallConfig(sparse=False))
    steps = [_Step(1), _Step(2), _Step(1, seed=18), _Step(3), _Step(1, pieces=2)]

    def losses(steps: list[_Step]) -> list[float]:
        for one in steps:
            context = StepContext(step=one.step, seed=one.seed, learning_rate=0.0)
            engine.train_step([batch(1)] * one.pieces, context)
        return [scalars.loss for scalars in engine.scalars()]

    first = losses(steps)
    keras.utils.set_random_seed(99)

    assert losses(steps[::-1]) == first[::-1]
    assert len(set(first)) == len(steps)
    assert np.array_equal(engine.forward(batch(2)), engine.forward(batch(2)))
