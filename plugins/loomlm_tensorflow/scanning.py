"""Recurrent cells, one place after another, and the gradient of all places at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loomlm_tensorflow.framework import tf

Tensor = Any
Cell = Callable[[Tensor, Tensor, Sequence[Tensor]], list[Tensor]]
"""The new states (batch, width) of what is read and what the state before gives the gates, both
(batch, gates), and of the states before."""


def scan(
    cell: Cell,
    given: Tensor,
    matrix: Tensor,
    bias: Tensor | None,
    states: Sequence[Tensor],
    going: Tensor | None,
) -> tuple[Tensor, list[Tensor]]:
    """The first states of all places, (time, batch, width), and all those behind the last.

    given: what is read gives the gates, (time, batch, gates). matrix: (width, gates), and bias
    (gates,), of the type in which they are multiplied. states: to begin with. going: (time, batch,
    1), where a row's states go on; everywhere by default.
    """
    outputs, end, _ = _forward(cell, given, matrix, bias, states, going, keep=False)
    return outputs, end


def learning_scan(
    cell: Cell, given: Tensor, matrix: Tensor, bias: Tensor | None, states: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """`scan`, with a gradient of its own.

    TensorFlow's own, of a loop, multiplies for the matrix at every place, a few rows at a time, and
    adds that up. This one keeps what each place gets from its state, and multiplies once for all.
    """

    @tf.custom_gradient
    def run(given: Tensor, matrix: Tensor, *rest: Tensor) -> tuple[Any, Any]:
        own, first = rest[: -len(states)], rest[-len(states) :]
        to_gates = own[0] if own else None
        outputs, end, kept = _forward(cell, given, matrix, to_gates, first, None, keep=True)

        def gradient(of_outputs: Tensor, *of_end: Tensor) -> list[Tensor]:
            before, *further = kept
            earlier = [tf.concat((first[0][None], outputs[:-1]), axis=0), *further]
            of_given, of_before, of_first = _backward(
                cell, given, before, matrix, earlier, of_outputs, of_end
            )
            width, gates = matrix.shape
            states_before = tf.reshape(tf.cast(earlier[0], matrix.dtype), [-1, width])
            flat = tf.reshape(of_before, [-1, gates])
            of_matrix = tf.linalg.matmul(states_before, flat, transpose_a=True)
            return [of_given, of_matrix, *(tf.reduce_sum(flat, axis=0) for _ in own), *of_first]

        return (outputs, *end), gradient

    outputs, *end = run(given, matrix, *([] if bias is None else [bias]), *states)
    return outputs, end


def from_state(state: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """What a state (batch, width) gives the gates, (batch, gates)."""
    found = tf.linalg.matmul(tf.cast(state, matrix.dtype), matrix)
    return found if bias is None else found + bias


def going_on(
    going: Tensor | None, at: Tensor, new: Sequence[Tensor], old: Sequence[Tensor]
) -> list[Tensor]:
    """The new states of rows that go on at a place, the old ones of others."""
    if going is None:
        return list(new)
    return [tf.where(going[at], one, other) for one, other in zip(new, old, strict=True)]


def loop(time: Tensor, body: Callable[..., Any], *start: Any) -> Any:
    """What the body gives last, called with 0, 1, ... below `time` and what it gave before."""
    return tf.while_loop(
        lambda at, *_: at < time,
        lambda at, *last: (at + 1, *body(at, *last)),
        (tf.constant(0), *start),
        maximum_iterations=time,
    )[1:]


def _forward(
    cell: Cell,
    given: Tensor,
    matrix: Tensor,
    bias: Tensor | None,
    first: Sequence[Tensor],
    going: Tensor | None,
    keep: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Also what a gradient needs: what the states gave the gates, and the further states before."""
    time = _length(given)

    def advance(at: Tensor, states: list[Tensor], written: list[Any]) -> tuple[Any, Any]:
        before = from_state(states[0], matrix, bias)
        new = cell(tf.cast(given[at], tf.float32), tf.cast(before, tf.float32), states)
        new = going_on(going, at, new, states)
        values = (new[0], before, *states[1:])[: len(written)]
        return new, [one.write(at, value) for one, value in zip(written, values, strict=True)]

    kept = [_array(given[0], time), *(_array(state, time) for state in first[1:])] if keep else []
    kept = [_array(first[0], time), *kept]
    end, written = loop(time, advance, list(first), kept)
    outputs, *further = (one.stack() for one in written)
    return outputs, list(end), further


def _backward(
    cell: Cell,
    given: Tensor,
    before: Tensor,
    matrix: Tensor,
    earlier: Sequence[Tensor],
    of_outputs: Tensor,
    of_end: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Gradients of what is read and of what the states gave the gates, and of the first states.

    before and earlier: what the states gave the gates at each place, and the states before it.
    """
    # Products with it take half the time of those that turn it at each place.
    time, turned = _length(given), tf.transpose(matrix)

    def retreat(at: Tensor, of_new: list[Tensor], written: list[Any]) -> tuple[Any, Any]:
        at = time - 1 - at
        told = [tf.cast(given[at], tf.float32), tf.cast(before[at], tf.float32)]
        told += [states[at] for states in earlier]
        with tf.GradientTape() as tape:
            tape.watch(told)
            new = cell(told[0], told[1], told[2:])
        of_new = [of_new[0] + of_outputs[at], *of_new[1:]]
        of_given, of_before, *of_old = tape.gradient(
            new, told, of_new, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        of_before = tf.cast(of_before, matrix.dtype)
        through = tf.linalg.matmul(of_before, turned)
        values = (tf.cast(of_given, given.dtype), of_before)
        written = [one.write(at, value) for one, value in zip(written, values, strict=True)]
        return [of_old[0] + tf.cast(through, tf.float32), *of_old[1:]], written

    arrays = [_array(given[0], time), _array(before[0], time)]
    of_first, written = loop(time, retreat, list(of_end), arrays)
    of_given, of_before = (one.stack() for one in written)
    return of_given, of_before, list(of_first)


def _array(like: Tensor, time: Tensor) -> Any:
    """A place for a tensor like this one for each place of a row."""
    return tf.TensorArray(like.dtype, size=time, element_shape=like.shape)


def _length(given: Tensor) -> Any:
    return tf.shape(given)[0] if given.shape[0] is None else given.shape[0]
