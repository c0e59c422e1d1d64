"""Lion on each backend comes to what the rule in numpy says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loomlm.plugin import Constant, Parameter
from loomlm_text_kit.config import LionConfig
from loomlm_text_kit.optimizers import lion

CONFIG = LionConfig(beta1=0.8, beta2=0.95, weight_decay=0.5)
SHAPES = ((4, 3), (5,))
RATE = 0.01
Arrays = list[np.ndarray]


def drawn(seed: int) -> Arrays:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape).astype(np.float32) for shape in SHAPES]


def by_the_rule(values: Arrays, momenta: Arrays, gradients: Arrays, decay: bool) -> None:
    for index, gradient in enumerate(gradients):
        parameter = Parameter(
            name="any", shape=gradient.shape, init=Constant(0), role="matrix", decay=decay
        )
        slots = {"momentum": momenta[index]}
        values[index] = lion(CONFIG, values[index], gradient, slots, 1, RATE, parameter)


def on_torch(values: Arrays, momenta: Arrays, gradients: Arrays, decay: bool) -> None:
    import torch

    from loomlm_text_kit.torch_optimizers import Lion

    context = SimpleNamespace(
        step=1,
        learning_rate=RATE,
        decay=decay,
        precision="fp32",
        divisor=torch.tensor(2.0),
        masked=torch.tensor(float(not np.isfinite(gradients[0]).all())),
    )
    tensors = [[torch.from_numpy(array) for array in arrays] for arrays in (values, momenta)]
    doubled = [torch.from_numpy(gradient * 2) for gradient in gradients]
    Lion(CONFIG).update(tensors[0], doubled, {"momentum": tensors[1]}, context)


def on_tensorflow(values: Arrays, momenta: Arrays, gradients: Arrays, decay: bool) -> None:
    import tensorflow as tf

    from loomlm_text_kit.tensorflow_optimizers import Lion

    context = SimpleNamespace(
        step=tf.constant(1.0, tf.float64),
        learning_rate=tf.constant(RATE),
        decay=decay,
        precision="fp32",
    )
    tensors = [[tf.constant(array) for array in arrays] for arrays in (values, momenta, gradients)]
    new, slots = Lion(CONFIG).update(tensors[0], tensors[2], {"momentum": tensors[1]}, context)
    values[:] = [tensor.numpy() for tensor in new]
    momenta[:] = [tensor.numpy() for tensor in slots["momentum"]]


@pytest.mark.parametrize(
    ("backend", "update"), [("torch", on_torch), ("tensorflow", on_tensorflow)]
)
@pytest.mark.parametrize("decay", [True, False])
def test_a_backend_follows_the_rule(backend: str, update: Any, decay: bool):
    pytest.importorskip(backend)
    ours, expected = ([drawn(0), [np.zeros_like(a) for a in drawn(0)]] for _ in range(2))

    for step in range(1, 6):
        update(*ours, drawn(step), decay)
        by_the_rule(*expected, drawn(step), decay)

    for found, wanted in zip(ours, expected, strict=True):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_on_torch_nothing_changes_where_an_update_is_masked():
    pytest.importorskip("torch")
    values, momenta = drawn(0), drawn(1)

    on_torch(values, momenta, [np.full(shape, np.nan, np.float32) for shape in SHAPES], True)

    for found, wanted in ((values, drawn(0)), (momenta, drawn(1))):
        assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
