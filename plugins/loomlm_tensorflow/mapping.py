"""Which variable of a Keras model is which parameter of a layout.

A canonical name is a path of attributes and indices that ends in the parameter's own name:
`backbone.layers.0.mlp.up.weight` is the `weight` of `model.backbone.layers[0].mlp.up`. What a
layer of Keras calls its `weight`, and whether it keeps it transposed, stands in FORMS. A layer of
one's own has its variables under the parameters' names, or a table `forms` like those in FORMS.
An attribute may end in an underscore where Keras has taken the name for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.plugin import Parameter
from loomlm_tensorflow.framework import keras, tf


@frozen
class Form:
    """How a layer keeps a parameter: under which attribute, and whether transposed."""

    attribute: str
    transposed: bool = False

    def turned(self, array: np.ndarray) -> np.ndarray:
        """From the layout's form to the layer's, and back."""
        return np.ascontiguousarray(array.T) if self.transposed else array


NORM = {"weight": Form("gamma"), "bias": Form("beta")}

FORMS: Mapping[type, Mapping[str, Form]] = {
    keras.layers.Dense: {"weight": Form("kernel", transposed=True), "bias": Form("bias")},
    keras.layers.Embedding: {"weight": Form("embeddings")},
    keras.layers.LayerNormalization: NORM,
    keras.layers.RMSNormalization: {"weight": Form("scale")},
}


@frozen(eq=False)
class Stored:
    """A parameter with the variable that holds it."""

    parameter: Parameter
    variable: Any
    form: Form

    @property
    def name(self) -> str:
        return self.parameter.name


def stored(model: Any, layout: Iterable[Parameter]) -> list[Stored]:
    """The parameters that are kept, each with its variable.

    Raises AssertionError where model and layout differ: that is a mistake of a builder's author.
    """
    found: list[Stored] = []
    by_name: dict[str, Stored] = {}
    for parameter in layout:
        one = find(model, parameter)
        by_name[parameter.name] = one
        if parameter.tied_to is None:
            found.append(one)
        elif one.variable is not by_name[parameter.tied_to].variable:
            raise AssertionError(f"{parameter.name} should share {parameter.tied_to}.")
    taken = {id(one.variable) for one in by_name.values()}
    for variable in model.trainable_variables:
        if id(variable.value) not in taken:
            raise AssertionError(f"The layout has no parameter for {variable.path}.")
    return found


def find(model: Any, parameter: Parameter) -> Stored:
    """The variable of a parameter."""
    owner, form = owner_of(model, parameter.name)
    variable = getattr(owner, form.attribute, None)
    if variable is None:
        raise AssertionError(f"The module has no variable for {parameter.name}.")
    variable = variable if isinstance(variable, tf.Variable) else variable.value
    shape = tuple(variable.shape)[:: -1 if form.transposed else 1]
    if shape != parameter.shape:
        raise AssertionError(
            f"The module does not match the backbone's layout at {parameter.name}: "
            f"built {shape}, stated {parameter.shape}."
        )
    return Stored(parameter, variable, form)


def owner_of(model: Any, name: str) -> tuple[Any, Form]:
    """The layer that has a parameter, and how it keeps it."""
    path, _, last = name.rpartition(".")
    owner = model
    for step in filter(None, path.split(".")):
        owner = owner[int(step)] if step.isdigit() else _attribute(owner, step)
        if owner is None:
            raise AssertionError(f"The module has no {step!r} on the way to {name}.")
    return owner, _form(owner, last)


def _attribute(owner: Any, name: str) -> Any:
    """An attribute; `name_` where Keras has taken the name for itself, as it has `input`."""
    return getattr(owner, f"{name}_", None) or getattr(owner, name, None)


def _form(owner: Any, name: str) -> Form:
    for table in (
        getattr(owner, "forms", {}),
        *(forms for kind, forms in FORMS.items() if isinstance(owner, kind)),
    ):
        if name in table:
            return table[name]
    return Form(name)
