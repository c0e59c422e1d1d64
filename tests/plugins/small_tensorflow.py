"""The small model in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loomlm.contracts import ModelSpec
from loomlm_tensorflow.drawing import dropout
from loomlm_tensorflow.framework import keras, tf

from .small import TALL, WIDTH, WORDS

dense = keras.layers.Dense


class Small(keras.layers.Layer):
    """See `small_spec`."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone")
        self.config = spec.config
        self.table = keras.layers.Embedding(WORDS, WIDTH, dtype="float32")
        self.fixed = dense(WIDTH, use_bias=False)
        self.slow = dense(WIDTH, use_bias=False)
        self.tall = [dense(TALL, use_bias=False) for _ in range(2)]
        self.flat = [dense(WIDTH, use_bias=False) for _ in range(2)]

    def call(self, batch: Mapping[str, Any], training: bool = False) -> Any:
        """(batch, time) tokens to (batch, width)."""
        mean = tf.reduce_mean(self.table(batch["tokens"]), axis=1)
        mean = dropout(mean, self.config.dropout, training)
        hidden = self.slow(tf.tanh(self.fixed(mean)))
        for tall, flat in zip(self.tall, self.flat, strict=True):
            hidden = hidden + flat(tf.tanh(tall(hidden)))
        return hidden
