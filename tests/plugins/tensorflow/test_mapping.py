"""Which variable is which parameter: names, forms, and mistakes of a builder's author."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from attrs import evolve

from loomlm.contracts import Normal, Parameter
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.mapping import Form, find, stored

pytestmark = pytest.mark.one_backend("tensorflow")


def parameter(name: str, *shape: int, **more) -> Parameter:
    form = {"init": Normal(1.0), "role": "matrix", "decay": True, **more}
    return Parameter(name=name, shape=shape, **form)


def test_a_matrix_stands_transposed_in_keras_and_not_in_a_checkpoint(make_engine):
    engine = make_engine(optimizer="sgd", optimizer_keys={"momentum": 0.9})
    tall, state = engine.module.backbone.tall[0], dict(engine.state("model"))

    assert (tall.kernel.shape, state["backbone.tall.0.weight"].shape) == ((6, 9), (9, 6))
    assert np.array_equal(tall.kernel.numpy().T, state["backbone.tall.0.weight"])
    assert dict(engine.state("optimizer"))["backbone.tall.0.weight.momentum"].shape == (9, 6)
    assert state["backbone.table.weight"].shape == (20, 6)

    given = np.arange(54, dtype=np.float32).reshape(9, 6)
    engine.load_state("model", [("backbone.tall.0.weight", given)])

    assert np.array_equal(tall.kernel.numpy(), given.T)
    assert np.array_equal(dict(engine.state("model"))["backbone.tall.0.weight"], given)


def test_names_of_a_layer_of_ones_own_are_the_parameters_or_stand_in_forms(backend):
    class Own(keras.layers.Layer):
        forms: ClassVar = {"scale": Form("gain"), "turned": Form("matrix", transposed=True)}

        def __init__(self):
            super().__init__()
            self.plain = self.add_weight(shape=(3,), name="x")
            self.gain = self.add_weight(shape=(4,), name="y")
            self.matrix = tf.Variable(tf.zeros([2, 5]))
            self.input_ = [keras.layers.LayerNormalization()]
            self.input_[0].build((None, 7))

    own = Own()
    expected = {
        "plain": own.plain.value,
        "scale": own.gain.value,
        "turned": own.matrix,
        "input.0.weight": own.input_[0].gamma.value,
        "input.0.bias": own.input_[0].beta.value,
    }
    shapes = {"plain": (3,), "scale": (4,), "turned": (5, 2)}

    for name, variable in expected.items():
        assert find(own, parameter(name, *shapes.get(name, (7,)))).variable is variable


@pytest.mark.parametrize(
    ("place", "changes", "said"),
    [
        (0, {"shape": (20, 7)}, r"at backbone.table.weight: built \(20, 6\), stated \(20, 7\)"),
        (3, {"shape": (6, 9)}, r"at backbone.tall.0.weight: built \(9, 6\), stated \(6, 9\)"),
        (3, {"name": "backbone.tell.0.weight"}, "no 'tell' on the way to backbone.tell.0.weight"),
        (3, {"name": "backbone.tall.0.scale"}, "has no variable for backbone.tall.0.scale"),
        (6, {"tied_to": "backbone.flat.0.weight"}, "backbone.flat.1.weight should share backbone."),
    ],
)
def test_a_layout_that_does_not_match_is_told_by_the_parameter(make_engine, place, changes, said):
    engine = make_engine()
    layout = list(engine.spec.layout)
    layout[place] = evolve(layout[place], **changes)

    with pytest.raises(AssertionError, match=said):
        stored(engine.module, layout)


def test_a_variable_that_no_parameter_is_for_is_told_by_its_path(make_engine):
    engine = make_engine()

    with pytest.raises(AssertionError, match="no parameter for backbone/.*embeddings"):
        stored(engine.module, engine.spec.layout[1:])
