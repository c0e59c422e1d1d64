"""Which variable is which parameter: names, forms, and mistakes of a builder's author."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
from attrs import evolve

from loomlm.contracts import Fitted, Normal, Parameter, StepContext
from loomlm.errors import PluginError
from loomlm.models.initial import initial_arrays
from loomlm_tensorflow import Form
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.mapping import find, stored

from ..small import LABELS, TALL, WIDTH, WORDS, batch, state

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
        (
            3,
            {"name": "backbone.tell.0.weight"},
            "no 'tell' on the way to backbone.tell.0.weight. Did you mean 'tall'?",
        ),
        (
            3,
            {"name": "backbone.tall.5.weight"},
            "no '5' on the way to backbone.tall.5.weight. There are",
        ),
        (
            3,
            {"name": "backbone.tall.0.scale"},
            r"backbone.tall.0.scale: the Dense at backbone.tall.0 has kernel, and no variable "
            r"`scale`. Name one so, or give the layer a table "
            r'`forms = {"scale": Form\("kernel", transposed=True\)}` '
            r"\(from loomlm_tensorflow import Form\)",
        ),
        (3, {"name": "backbone.tall"}, "the Small at backbone has no variable `tall`"),
        (6, {"tied_to": "backbone.flat.0.weight"}, "backbone.flat.1.weight should share .*flat.0"),
    ],
)
def test_a_layout_that_does_not_match_is_told_by_the_parameter(make_engine, place, changes, said):
    engine = make_engine()
    layout = list(engine.spec.layout)
    layout[place] = evolve(layout[place], **changes)

    with pytest.raises(PluginError, match=said):
        stored(engine.module, layout)


def test_a_variable_that_no_parameter_is_for_is_told_by_its_path(make_engine):
    engine = make_engine()

    said = r"the variable backbone/.*embeddings \(20, 6\), and the layout states no such"
    with pytest.raises(PluginError, match=said):
        stored(engine.module, engine.spec.layout[1:])


def test_advice_names_the_variables_by_the_attributes_of_ones_own_layer(backend):
    class Own(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.gain = self.add_weight(shape=(4,), name="y")
            self.mix = self.add_weight(shape=(2, 5), name="z")

    with pytest.raises(PluginError) as flat:
        find(Own(), parameter("weight", 4))
    with pytest.raises(PluginError) as turned:
        find(Own(), parameter("weight", 5, 2))
    with pytest.raises(PluginError) as straight:
        find(Own(), parameter("weight", 2, 5))

    assert "the Own has gain, mix, and no variable `weight`" in str(flat.value)
    assert '{"weight": Form("gain")}' in str(flat.value)
    assert '{"weight": Form("mix", transposed=True)}' in str(turned.value)
    assert '{"weight": Form("mix")}' in str(straight.value)


def test_a_layer_that_was_never_called_is_told(backend):
    with pytest.raises(PluginError, match="the Dense has no variables, since .* does not use it"):
        find(keras.layers.Dense(3), parameter("weight", 3, 2))


def test_forms_hold_forms_alone(backend):
    class Own(keras.layers.Layer):
        forms: ClassVar = {"weight": "kernel"}

    said = "weight: `forms` of Own has 'kernel' for 'weight', which is no Form. Write Form"
    with pytest.raises(PluginError, match=said):
        find(Own(), parameter("weight", 4))


def test_names_for_builders_stand_in_the_package_and_cost_no_framework():
    code = (
        "import sys; from loomlm_tensorflow import Form; assert Form('kernel').attribute; "
        "assert not {'tensorflow', 'keras', 'numpy'} & sys.modules.keys(); "
        "from loomlm_tensorflow import dropout; "
        "from loomlm_tensorflow.drawing import dropout as same; assert dropout is same"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def convolved(context: str) -> Any:
    """A backbone with a convolution and a norm over groups, in a framework."""
    if context == "torch":
        torch = pytest.importorskip("torch")

        class Torch(torch.nn.Module):
            def __init__(self, spec):
                super().__init__()
                self.table = torch.nn.Embedding(WORDS, WIDTH)
                self.conv = torch.nn.Conv1d(WIDTH, TALL, 3)
                self.norm = torch.nn.GroupNorm(3, TALL, eps=1e-3)

            def forward(self, batch):
                x = self.table(batch["tokens"]).mT
                return self.norm(self.conv(x)).tanh().mean(dim=2)

        return Torch

    class Keras(keras.layers.Layer):
        def __init__(self, spec):
            super().__init__(name="backbone")
            self.table = keras.layers.Embedding(WORDS, WIDTH)
            self.conv = keras.layers.Conv1D(TALL, 3)
            self.norm = keras.layers.GroupNormalization(3, epsilon=1e-3)

        def call(self, batch, training=False):
            x = self.table(batch["tokens"])
            return tf.reduce_mean(tf.tanh(self.norm(self.conv(x))), axis=1)

    return Keras


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_convolution_of_keras_is_that_of_torch(make_engine, registry, optimizer):
    first = make_engine(optimizer=optimizer)
    layout = (
        parameter("backbone.table.weight", WORDS, WIDTH, role="embedding"),
        parameter("backbone.conv.weight", TALL, WIDTH, 3),
        parameter("backbone.conv.bias", TALL, role="vector"),
        parameter("backbone.norm.weight", TALL, role="vector"),
        parameter("backbone.norm.bias", TALL, role="vector"),
        parameter("head.weight", LABELS, TALL, role="head"),
        parameter("head.bias", LABELS, role="vector"),
    )
    spec = evolve(first.spec, layout=layout)

    def engine(backend):
        component = registry.find("trainer", backend).component
        return component.load()(component.config()).engine(
            spec,
            first.trainer,
            lambda kind, name: (
                convolved(backend) if kind == "backbone" else registry.builder(kind, name, backend)
            ),
        )

    engines = [engine("torch"), engine("tensorflow")]
    for one in engines:
        one.load_state("model", initial_arrays(layout, 17, Fitted()))
        for step in range(1, 4):
            one.train_step([batch(step)], StepContext(step=step, seed=17, learning_rate=0.01))

    torch, tensorflow = map(state, engines)
    assert torch.keys() == tensorflow.keys()
    for name, array in torch.items():
        assert tensorflow[name] == pytest.approx(array, rel=1e-3, abs=1e-5), name
    # What one saved goes on with the other.
    for part in ("model", "optimizer"):
        engines[1].load_state(part, engines[0].state(part))
    back = state(engines[1])
    assert all(np.array_equal(back[name], array) for name, array in torch.items())
