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

from attrs import frozen

from loomlm.plugin import Parameter, PluginError, did_you_mean
from loomlm_tensorflow.forms import Form
from loomlm_tensorflow.framework import keras, tf

KERNEL = {"weight": Form("kernel", transposed=True), "bias": Form("bias")}
NORM = {"weight": Form("gamma"), "bias": Form("beta")}

FORMS: Mapping[type, Mapping[str, Form]] = {
    keras.layers.Dense: KERNEL,
    # Not Conv2D: (outputs, inputs, height, width) in PyTorch is no reversal of what Keras has.
    keras.layers.Conv1D: KERNEL,
    keras.layers.Embedding: {"weight": Form("embeddings")},
    keras.layers.LayerNormalization: NORM,
    keras.layers.GroupNormalization: NORM,
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

    Raises PluginError where model and layout differ: that is a mistake of a builder's author.
    """
    found: list[Stored] = []
    by_name: dict[str, Stored] = {}
    for parameter in layout:
        one = find(model, parameter)
        by_name[parameter.name] = one
        if parameter.tied_to is None:
            found.append(one)
        elif one.variable is not by_name[parameter.tied_to].variable:
            raise PluginError(
                f"{parameter.name} should share the variable of {parameter.tied_to}, and the "
                "module has one of its own for it."
            )
    taken = {id(one.variable) for one in by_name.values()}
    for variable in model.trainable_variables:
        if id(variable.value) not in taken:
            raise PluginError(
                f"The module has the variable {variable.path} {tuple(variable.shape)}, and the "
                "layout states no such parameter. State it in the backbone's `parameters`, or make "
                "it with trainable=False."
            )
    return found


def find(model: Any, parameter: Parameter) -> Stored:
    """The variable of a parameter. Raises PluginError where there is none, or of another shape."""
    variable, form = variable_of(model, parameter.name, parameter.shape)
    variable = variable if isinstance(variable, tf.Variable) else variable.value
    shape = form.stated(tuple(variable.shape))
    if shape != parameter.shape:
        raise PluginError(
            f"The module does not match the backbone's layout at {parameter.name}: "
            f"built {shape}, stated {parameter.shape}."
        )
    return Stored(parameter, variable, form)


def variable_of(model: Any, name: str, shape: tuple[int, ...]) -> tuple[Any, Form]:
    """The variable of a name, as its layer has it, and how it is kept there.

    shape: as the layout states it, for the advice of the PluginError where there is none.
    """
    path, _, last = name.rpartition(".")
    owner = _owner(model, path, name)
    form = _form(owner, last, name)
    variable = getattr(owner, form.attribute, None)
    if not _is_variable(variable):
        raise PluginError(_advice(owner, name, form, shape))
    return variable, form


def _owner(model: Any, path: str, name: str) -> Any:
    """The layer at the end of a path."""
    owner = model
    for step in filter(None, path.split(".")):
        before = owner
        try:
            owner = owner[int(step)] if step.isdigit() else _attribute(owner, step)
        except (LookupError, TypeError):
            owner = None
        if owner is None:
            raise PluginError(
                f"The module has no {step!r} on the way to {name}. {_has(before, step)}"
            )
    return owner


def _has(owner: Any, step: str) -> str:
    """The parts that an owner has, or the one that was meant."""
    if isinstance(owner, list | tuple):
        return f"There are {len(owner)} in that list."
    parts = [
        name
        for name, value in vars(owner).items()
        if name[0] != "_" and (isinstance(value, keras.layers.Layer) or _is_list_of_layers(value))
    ]
    return did_you_mean(step, parts)


def _is_list_of_layers(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and bool(value)
    return is_list and all(isinstance(one, keras.layers.Layer) for one in value)


def _advice(owner: Any, name: str, form: Form, shape: tuple[int, ...]) -> str:
    """What is wrong where a layer does not have a variable, and the way out."""
    path, _, last = name.rpartition(".")
    layer = f"the {type(owner).__name__} at {path}" if path else f"the {type(owner).__name__}"
    there = _variables(owner)
    if not there and getattr(owner, "built", True) is False:
        return f"{name}: {layer} has no variables, since `call` of the backbone does not use it."
    has = f"has {', '.join(there)}, and" if there else "has"
    said = f"{name}: {layer} {has} no variable `{form.attribute}`."
    if not there:
        return said
    fits = _fitting(there, shape)
    given = f'"{fits.attribute}"' + (", transposed=True" if fits.transposed else "")
    return (
        f'{said} Name one so, or give the layer a table `forms = {{"{last}": Form({given})}}` '
        "(from loomlm_tensorflow import Form)."
    )


def _variables(owner: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of a layer's own variables, by the attributes that they can be had under."""
    called = [variable.name for variable in getattr(owner, "variables", ())]
    names = dict.fromkeys([*called, *getattr(owner, "__dict__", ())])
    found: dict[str, Any] = {name: getattr(owner, name, None) for name in names if name[0] != "_"}
    return {name: tuple(of.shape) for name, of in found.items() if _is_variable(of)}


def _fitting(there: Mapping[str, tuple[int, ...]], shape: tuple[int, ...]) -> Form:
    """Which variable a parameter of a shape may be; Keras keeps matrices transposed."""
    for name, built in there.items():
        if built[::-1] == shape:
            return Form(name, transposed=len(shape) > 1)
    return Form(next((name for name, built in there.items() if built == shape), next(iter(there))))


def _is_variable(value: Any) -> bool:
    return isinstance(value, tf.Variable | keras.Variable)


def _attribute(owner: Any, name: str) -> Any:
    """An attribute; `name_` where Keras has taken the name for itself, as it has `input`."""
    return getattr(owner, f"{name}_", None) or getattr(owner, name, None)


def _form(owner: Any, last: str, name: str) -> Form:
    own = getattr(owner, "forms", None)
    for table in (
        own if isinstance(own, Mapping) else {},
        *(forms for kind, forms in FORMS.items() if isinstance(owner, kind)),
    ):
        if last in table:
            form = table[last]
            if not isinstance(form, Form):
                raise PluginError(
                    f"{name}: `forms` of {type(owner).__name__} has {form!r} for {last!r}, which "
                    "is no Form. Write Form(ATTRIBUTE), or Form(ATTRIBUTE, transposed=True) (from "
                    "loomlm_tensorflow import Form)."
                )
            return form
    return Form(last)
