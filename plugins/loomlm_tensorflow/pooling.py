"""One state for a text, from those of its tokens; what stands behind a text does not matter."""

from __future__ import annotations

from typing import Any

from loomlm_tensorflow.drawing import sizes
from loomlm_tensorflow.framework import tf

Tensor = Any


def pool(hidden: Tensor, length: Tensor, how: str) -> Tensor:
    """(batch, time, width) and (batch,) to (batch, width), by "mean", "max", "first" or "last".

    The mean and the maximum of a text without a token are 0.
    """
    if how == "first":
        return hidden[:, 0]
    if how == "last":
        return last(hidden, length)
    mask = inside(length, sizes(hidden)[1])[..., None]
    if how == "max":
        lowest = tf.constant(hidden.dtype.min, hidden.dtype)
        highest = tf.reduce_max(tf.where(mask, hidden, lowest), axis=1)
        return tf.where(length[:, None] > 0, highest, tf.zeros([], hidden.dtype))
    total = tf.reduce_sum(tf.where(mask, hidden, tf.zeros([], hidden.dtype)), axis=1)
    return total / tf.cast(tf.maximum(length, 1), hidden.dtype)[:, None]


def last(hidden: Tensor, length: Tensor) -> Tensor:
    """The state of each text's last token, (batch, width)."""
    return tf.gather(hidden, tf.maximum(length - 1, 0), axis=1, batch_dims=1)


def inside(length: Tensor, time: int | Tensor) -> Tensor:
    """(batch, time): whether a place is one of its text's."""
    return tf.range(time, dtype=length.dtype) < length[:, None]
