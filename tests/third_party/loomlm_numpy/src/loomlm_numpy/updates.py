"""One update of a model: gradients added up, their norm, clipping, the optimizer's rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import isfinite, sqrt
from typing import Protocol

import numpy as np
from attrs import define, field, frozen

from loomlm.plugin import Parameter, StepContext
from loomlm_numpy.layers import Array, Gradients, Rows


@frozen(kw_only=True)
class ParameterContext:
    """What the update of a parameter goes by.

    learning_rate: with the parameter's own factor. decay: whether weight decay applies.
    """

    step: int
    learning_rate: float
    decay: bool


class NumpyOptimizer(Protocol):
    """What the builder of an optimizer gives, called with its config."""

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """The names of the state that a parameter has; each an array of its shape, 0 at first."""
        ...

    def update(
        self, value: Array, gradient: Array, slots: Mapping[str, Array], context: ParameterContext
    ) -> None:
        """Change value and slots in place. The gradient is clipped; it may be overwritten.

        Of a sparse parameter, the rows that take part come as whole arrays.
        """
        ...


@define(slots=False)
class Updates:
    """Updates the parameters that train, and holds the optimizer's state.

    parameters, weights: by name. The state is made when it is first asked for: a model that only
    predicts has none.
    """

    parameters: Mapping[str, Parameter]
    weights: Mapping[str, Array]
    optimizer: NumpyOptimizer
    clip: float | None
    _parts: dict[str, list[Array | Rows]] = field(factory=lambda: defaultdict(list))

    @cached_property
    def slots(self) -> dict[str, dict[str, Array]]:
        """The state by parameter and slot."""
        return {
            name: {
                slot: np.zeros(parameter.shape, np.float32)
                for slot in self.optimizer.slots(parameter)
            }
            for name, parameter in self.parameters.items()
        }

    def add(self, gradients: Gradients) -> None:
        """Take in what one microbatch gives; a name may be that of a tied parameter."""
        for name, gradient in gradients.items():
            if name in self.parameters:
                self._parts[name].append(gradient)

    def apply(self, context: StepContext, loss: float) -> tuple[float, bool]:
        """Clip, update, forget the gradients.

        Gives their norm, and whether all was finite: if not, nothing has changed.
        """
        gradients = {
            name: _added(parts, self.parameters[name]) for name, parts in self._parts.items()
        }
        self._parts.clear()
        norm = sqrt(sum(map(_square, gradients.values())))
        if not isfinite(norm + loss):
            return norm, False
        divisor = max(norm / self.clip, 1.0) if self.clip is not None else 1.0
        for name, gradient in gradients.items():
            parameter = self.parameters[name]
            told = ParameterContext(
                step=context.step,
                learning_rate=context.learning_rate * parameter.learning_rate_scale,
                decay=parameter.decay,
            )
            self._update(name, gradient, divisor, told)
        return norm, True

    def _update(
        self, name: str, gradient: Array | Rows, divisor: float, context: ParameterContext
    ) -> None:
        value, slots = self.weights[name], self.slots[name]
        if not isinstance(gradient, Rows):
            self.optimizer.update(value, gradient / divisor, slots, context)
            return
        rows = gradient.index
        part, parts = value[rows], {slot: array[rows] for slot, array in slots.items()}
        self.optimizer.update(part, gradient.values / divisor, parts, context)
        value[rows] = part
        for slot, array in slots.items():
            array[rows] = parts[slot]

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """The state by name: `parameter.slot`."""
        for name, slots in self.slots.items():
            for slot, array in slots.items():
                yield f"{name}.{slot}", array


def _added(parts: Sequence[Array | Rows], parameter: Parameter) -> Array | Rows:
    """The sum of a parameter's gradients: rows where it is sparse, and all of them are."""
    looked_up = [part for part in parts if isinstance(part, Rows)]
    whole = [part for part in parts if not isinstance(part, Rows)]
    rows = None
    if looked_up:
        index = np.concatenate([part.index for part in looked_up])
        rows = Rows(index, np.concatenate([part.values for part in looked_up])).summed()
        if parameter.sparse and not whole:
            return rows
    total = sum(whole, start=np.zeros(parameter.shape, np.float32))
    if rows is not None:
        total[rows.index] += rows.values
    return total


def _square(gradient: Array | Rows) -> float:
    values = gradient.values if isinstance(gradient, Rows) else gradient
    return float(np.vdot(values, values))
