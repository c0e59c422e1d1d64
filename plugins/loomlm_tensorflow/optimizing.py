"""What an optimizer's builder gives, held to what is wanted of it. Nothing here runs in a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loomlm.plugin import Parameter, PluginError

Tensor = Any
Slots = Mapping[str, Sequence[Tensor]]


def slots_of(optimizer: Any, parameter: Parameter) -> tuple[str, ...]:
    """The names of a parameter's state, as an optimizer says.

    Raises PluginError for what is no such names, or no optimizer: a mistake of its author.
    """
    kind = type(optimizer).__name__
    for method in ("slots", "update"):
        if not callable(getattr(optimizer, method, None)):
            raise PluginError(
                f"The optimizer's builder gives {kind}, which has no method `{method}`. Wanted is "
                "a BuiltOptimizer (see loomlm.plugin)."
            )
    names = optimizer.slots(parameter)
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise PluginError(
            f"`slots` of the optimizer {kind} gives {names!r} for {parameter.name}. Wanted are the "
            'names of its state in a tuple, such as ("momentum",), or () where it has none.'
        )
    return tuple(names)


def updated(
    optimizer: Any, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: Any
) -> tuple[Sequence[Tensor], Slots]:
    """The values and slots that an optimizer gives for a group, while the step is traced.

    Raises PluginError for what is not one tensor for each that it was given, of its shape and type.
    """
    said = f"`update` of the optimizer {type(optimizer).__name__}"
    given = optimizer.update(values, gradients, slots, context)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise PluginError(
            f"{said} gives {_shown(given)}. Wanted is (values, slots): the new tensors in the "
            "order of those given, and a list of them by the name of each slot."
        )
    new, new_slots = given
    if not isinstance(new_slots, Mapping) or new_slots.keys() != slots.keys():
        raise PluginError(
            f"{said} gives {_shown(new_slots)} for slots. Wanted is a dict of lists with the names "
            f"that `slots` gave: {', '.join(slots) or 'none, so {}'}."
        )
    _check(f"{said}, for values,", new, values)
    for slot, old in slots.items():
        _check(f"{said}, for the slot {slot!r},", new_slots[slot], old)
    return new, new_slots


def _check(said: str, new: Any, old: Sequence[Tensor]) -> None:
    """Whether each tensor is like the one in whose place it comes."""
    if not isinstance(new, tuple | list) or len(new) != len(old):
        raise PluginError(f"{said} gives {_shown(new)}. Wanted is a list of {len(old)} tensors.")
    for one, before in zip(new, old, strict=True):
        if _form(one) != _form(before):
            raise PluginError(
                f"{said} gives {_shown(one)} in the place of {_shown(before)}. "
                "Wanted is a tensor of the same shape and type."
            )


def _form(value: Any) -> Any:
    return (getattr(value, "shape", None), getattr(value, "dtype", None))


def _shown(value: Any) -> str:
    """A value in a few words: a tensor within a traced step has no numbers to show."""
    if isinstance(value, Mapping):
        return f"a dict with {', '.join(map(repr, value))}" if value else "an empty dict"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"a tensor {tuple(value.shape)} of {getattr(value.dtype, 'name', value.dtype)}"
    return repr(value)
