"""Cross-entropy behind a linear head, without all of its logits at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from loomlm.plugin import Loss
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.model import PART, TiedHead

Tensor = Any
Tensors = Mapping[str, Any]

LARGE = 4 * PART
"""Logits from which on it pays: with fewer, a compiled step takes some 9% longer in parts."""


def fits(head: Any, loss: Loss, precision: str) -> bool:
    """Whether a head's loss may be taken so.

    In fp16 it may not: its gradients would be taken before the loss is scaled, and small ones lost.
    A head that something else has changed computes what only it knows.
    """
    plain = type(head) is keras.layers.Dense and not head.lora_enabled
    return (plain or isinstance(head, TiedHead)) and (
        loss.kind == "cross_entropy" and precision != "fp16"
    )


def chunked_loss(head: Any, hidden: Tensor, batch: Tensors, loss: Loss) -> Tensor:
    """What `weighted_loss` says of `head(hidden)`, (..., width), in parts of at most `PART` logits.

    hidden: of a known shape. The gradients are taken as well where the logits of a part are at
    hand, so that none is computed twice, as Liger Kernel does it (Hsu 2024).
    """
    matrix = tf.transpose(head.kernel) if isinstance(head, keras.layers.Dense) else head.weight
    bias = tf.zeros(matrix.shape[:1]) if head.bias is None else head.bias
    width = hidden.shape[-1]
    rows = hidden.shape.num_elements() // width
    parts = -(-rows * matrix.shape[0] // PART)
    size = -(-rows // parts)

    def parted(tensor: Tensor, *rest: int) -> Tensor:
        """Rows as (parts, size, ...), with zeros behind the last."""
        flat = tf.reshape(tensor, [rows, *rest])
        filled = tf.pad(flat, [[0, parts * size - rows], *([0, 0] for _ in rest)])
        return tf.reshape(filled, [parts, size, *rest])

    terms = _Terms(
        parted(batch["label"]), parted(batch["weight"]), loss.label_smoothing, head.compute_dtype
    )
    given = (tf.convert_to_tensor(matrix), tf.convert_to_tensor(bias))
    return tf.custom_gradient(terms.loss)(parted(hidden, width), *given)


@frozen
class _Terms:
    """What a loss is of, besides the states and the head: label and share, (parts, size)."""

    label: Tensor
    share: Tensor
    smoothing: float
    dtype: str

    def loss(self, hidden: Tensor, matrix: Tensor, bias: Tensor) -> tuple[Tensor, Any]:
        """The loss of states (parts, size, width), and what turns its slope into theirs."""
        cast, added = tf.cast(matrix, self.dtype), tf.cast(bias, self.dtype)
        slopes = tf.TensorArray(hidden.dtype, hidden.shape[0], element_shape=hidden.shape[1:])

        def add(at: Tensor, total: Tensor, slopes: Any, turn: Tensor, shift: Tensor) -> Any:
            read = tf.cast(hidden[at], self.dtype)
            logits = tf.matmul(read, cast, transpose_b=True) + added
            part, slope = self._part(tf.nn.log_softmax(tf.cast(logits, tf.float32)), at)
            shift += tf.reduce_sum(slope, axis=0)
            slope = tf.cast(slope, self.dtype)
            slopes = slopes.write(at, tf.cast(tf.matmul(slope, cast), hidden.dtype))
            turn += tf.cast(tf.matmul(slope, read, transpose_a=True), tf.float32)
            return at + 1, total + part, slopes, turn, shift

        start = (0, 0.0, slopes, tf.zeros(matrix.shape), tf.zeros(bias.shape))
        parts = hidden.shape[0]
        _, total, slopes, turn, shift = tf.while_loop(
            lambda at, *_: at < parts, add, start, maximum_iterations=parts
        )
        found = (slopes.stack(), turn, shift)
        return total, lambda scale: tuple(slope * tf.cast(scale, slope.dtype) for slope in found)

    def _part(self, odds: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a part by its log odds, and the same differentiated by the logits."""
        own, share, outputs = self.label[at], self.share[at], odds.shape[1]
        each = (1 - self.smoothing) * tf.gather(odds, own, batch_dims=1)
        if self.smoothing:
            each += self.smoothing * tf.reduce_mean(odds, axis=1)
        wanted = (1 - self.smoothing) * tf.one_hot(own, outputs) + self.smoothing / outputs
        return -tf.reduce_sum(each * share), (tf.exp(odds) - wanted) * share[:, None]
