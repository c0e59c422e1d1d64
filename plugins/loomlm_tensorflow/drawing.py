"""Dropout that is a function of a key: the same numbers whatever was drawn before.

TensorFlow's own generators cost a compiled step on a CPU many times as much as this hash of a
counter does, and hold a state that a checkpoint would have to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define

from loomlm_tensorflow.framework import keras, tf

Tensor = Any

GOLDEN = 0x9E3779B9


@define
class _Draws:
    """The key of a microbatch, (2,) uint32, and how many places have drawn from it."""

    key: Tensor
    places: int = 0


_current: list[_Draws] = []


@contextmanager
def drawing(key: Tensor) -> Iterator[None]:
    """Dropout within draws from a key, (2,) uint32: each place, in their order, other numbers."""
    _current.append(_Draws(key))
    try:
        yield
    finally:
        _current.pop()


def inside_engine() -> bool:
    """Whether it is an engine that trains, and not Keras."""
    return bool(_current)


def dropout(
    x: Tensor, share: float, training: bool, shape: Sequence[int | Tensor] | None = None
) -> Tensor:
    """Leave out a share of the numbers, and raise the others, while training.

    shape: of what is left out, broadcast over x; that of x by default.
    """
    if not (training and share):
        return x
    size = sizes(x) if shape is None else shape
    kept = uniform(size) >= share
    return tf.where(kept, x * tf.cast(1 / (1 - share), x.dtype), tf.zeros([], x.dtype))


def uniform(shape: Sequence[int | Tensor]) -> Tensor:
    """Float32 numbers from [0, 1): a hash of (key, place, index)."""
    if _current:
        draws = _current[-1]
        first, second, place = draws.key[0], draws.key[1], draws.places
        draws.places += 1
    else:
        # Somebody trains the Keras model without an engine. TensorFlow's own `tf.random.uniform`
        # would want a seed of the process where they have asked for deterministic operations.
        drawn = keras.random.randint([2], -(2**31), 2**31 - 1, "int32")
        first, second, place = *tf.unstack(tf.bitcast(drawn, tf.uint32)), 0
    index = tf.cast(tf.range(tf.reduce_prod(tf.stack(list(shape)))), tf.uint32)
    place_key = tf.constant((place + 1) * GOLDEN % 2**32, tf.uint32)
    mixed = _mix(_mix(index ^ _mix(first + place_key)) ^ second)
    # The 24 bits that a float32 holds: it would round more of them up to 1.
    number = tf.cast(tf.bitwise.right_shift(mixed, tf.constant(8, tf.uint32)), tf.float32)
    return tf.reshape(number * 2.0**-24, tf.stack(list(shape)))


def reseed(states: Sequence[Any], key: Tensor) -> None:
    """Let Keras' own generators, whose variables (2,) these are, draw from a key, (2,) uint32."""
    for index, state in enumerate(states):
        own = _mix(key[0] + tf.constant((index + 1) * GOLDEN % 2**32, tf.uint32))
        state.assign(tf.cast(tf.stack([own, key[1]]), state.dtype))


def _mix(x: Tensor) -> Tensor:
    """A bijection of 32 bits whose output bits each depend on all input bits.

    Wellons 2018, "Prospecting for hash functions": lowbias32.
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))
        x = x * tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))


def sizes(x: Tensor) -> list[int | Tensor]:
    """The sizes of a tensor's dimensions, as numbers where they are known."""
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape)]
