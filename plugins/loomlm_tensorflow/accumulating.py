"""The loss and the gradients of several microbatches, within a traced step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loomlm_tensorflow.framework import tf

Tensor = Any
Gradients = list[Any]
"""One for each parameter: a tensor, IndexedSlices of a sparse one, None where it took no part."""


def accumulated(
    microbatch: Callable[[Any], tuple[Tensor, Gradients]], count: int
) -> tuple[Tensor, Gradients]:
    """The sums over microbatches; of sparse gradients, all their rows.

    microbatch: from an index to its part of the loss and its gradients. All but the first go
    through a loop: the program is two microbatches long, however many there are.
    """
    loss, gradients = microbatch(0)
    if count == 1:
        return loss, gradients
    held = [_begin(gradient, count) for gradient in gradients if gradient is not None]

    def add(index: Tensor, loss: Tensor, held: list[Any]) -> tuple[Tensor, Tensor, list[Any]]:
        more, found = microbatch(index)
        given = [gradient for gradient in found if gradient is not None]
        return index + 1, loss + more, [_add(*one, index) for one in zip(held, given, strict=True)]

    _, loss, held = tf.while_loop(
        lambda index, loss, held: index < count,
        add,
        (tf.constant(1), loss, held),
        maximum_iterations=count - 1,
    )
    sums = iter(held)
    return loss, [None if like is None else _end(next(sums), like) for like in gradients]


def _begin(gradient: Any, count: int) -> Any:
    """The first gradient; of a sparse one, values and indices with room for those of the others."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    first = (gradient.values, gradient.indices)
    rest = [tf.zeros([count - 1, *part.shape], part.dtype) for part in first]
    return [tf.concat([part[None], more], 0) for part, more in zip(first, rest, strict=True)]


def _add(held: Any, gradient: Any, index: Tensor) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return held + gradient
    return [
        tf.tensor_scatter_nd_update(whole, [[index]], part[None])
        for whole, part in zip(held, (gradient.values, gradient.indices), strict=True)
    ]


def _end(held: Any, like: Any) -> Any:
    if not isinstance(like, tf.IndexedSlices):
        return held
    values, indices = held
    values = tf.reshape(values, [-1, *values.shape[2:]])
    return tf.IndexedSlices(values, tf.reshape(indices, [-1]), like.dense_shape)
