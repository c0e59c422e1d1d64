"""How a layer keeps a parameter. Imports no TensorFlow: a plugin's module may name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np


@frozen
class Form:
    """How a layer keeps a parameter: under which attribute, and whether transposed.

    transposed: with its dimensions in the opposite order, as Keras keeps the matrix of a `Dense`,
    (inputs, outputs), and the kernel of a `Conv1D`, (width, inputs, outputs).
    """

    attribute: str
    transposed: bool = False

    def turned(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """From the layout's form to the layer's, and back."""
        # Contiguous: what writes a checkpoint reads the memory as it lies.
        return array.T.copy(order="C") if self.transposed else array

    def stated(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that the layout states of a variable of this one."""
        return shape[::-1] if self.transposed else shape
