"""Recurrent cells learn by a gradient of their own: it is that of the loop itself."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm_tensorflow.framework import tf
from loomlm_tensorflow.rnn import gru_cell, lstm_cell
from loomlm_tensorflow.scanning import learning_scan, scan

pytestmark = [pytest.mark.one_backend("tensorflow"), pytest.mark.usefixtures("backend")]

TIME, BATCH, WIDTH = 7, 3, 4
CELLS = {"lstm": (lstm_cell, 4, 2, False), "gru": (gru_cell, 3, 1, True)}
"""Of each the cell, its gates and states, and whether its matrix has a bias."""


def drawn(*shape: int) -> object:
    return tf.constant(np.random.default_rng(shape[-1]).normal(size=shape), tf.float32)


def learnt(scanning, cell: str, compiled: bool):
    """Outputs, last states, and the gradient of each input by a sum that weighs all of them."""
    function, gates, count, biased = CELLS[cell]
    rows = gates * WIDTH
    inputs = [drawn(TIME, BATCH, rows), drawn(WIDTH, rows)]
    inputs += [drawn(rows)] if biased else []
    inputs += [drawn(BATCH, WIDTH) * (1 + place) for place in range(count)]

    @tf.function(jit_compile=compiled)
    def run(*inputs):
        given, matrix, *rest = inputs
        bias, states = rest[0] if biased else None, rest[-count:]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, end = scanning(function, given, matrix, bias, states)
            parts = [outputs * drawn(TIME, BATCH, WIDTH), *(state**2 for state in end)]
            loss = tf.add_n([tf.reduce_sum(part) for part in parts])
        return outputs, end, tape.gradient(loss, inputs)

    return tf.nest.flatten(run(*inputs))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_learnt_is_what_the_loop_itself_would_learn(cell, compiled):
    own = learnt(learning_scan, cell, compiled)
    plain = learnt(lambda *given: scan(*given, going=None), cell, False)

    assert len(own) == len(plain)
    for one, other in zip(own, plain, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_rows_of_any_length_and_number_are_read():
    """A function that is traced once, for all of them."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4 * WIDTH])])
    def run(given):
        first = [tf.zeros([tf.shape(given)[1], WIDTH])] * 2
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs, _ = learning_scan(lstm_cell, given, drawn(WIDTH, 4 * WIDTH), None, first)
        return outputs, tape.gradient(outputs, given)

    for time, size in ((1, 2), (5, 3)):
        outputs, gradient = run(drawn(time, size, 4 * WIDTH))
        assert outputs.shape == (time, size, WIDTH)
        assert gradient.shape == (time, size, 4 * WIDTH)
