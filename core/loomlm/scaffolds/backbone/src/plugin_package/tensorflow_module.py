"""The backbone in Keras. The only file here that imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from loomlm.plugin import ModelSpec


class Phrases(keras.layers.Layer):
    """Built from a ModelSpec; reads `tokens` and `inside`, (batch, time) each.

    Attributes are called as in the layout: `embedding.weight`, `detectors.weight` and
    `detectors.bias`. What Keras calls the weight of an Embedding or a Dense layer, and
    that a Dense layer keeps it transposed, Loomlm knows.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone")
        config = spec.config
        self.words = config.words
        self.embedding = keras.layers.Embedding(spec.vocab_size, config.width)
        self.detectors = keras.layers.Dense(config.phrases, activation="relu")
        self.embedding_dropout = keras.layers.Dropout(config.dropout)
        self.dropout = keras.layers.Dropout(config.dropout)

    def call(self, batch: Mapping[str, Any], training: bool = False) -> Any:
        """Hidden states (batch, phrases)."""
        inside = batch["inside"][..., None]
        time = tf.shape(inside)[1]
        x = self.embedding(batch["tokens"]) * inside  # (batch, time, width)
        x = self.embedding_dropout(x, training=training)
        x = tf.pad(x, [[0, 0], [0, self.words - 1], [0, 0]])
        x = tf.concat([x[:, s : s + time] for s in range(self.words)], axis=-1)
        found = self.detectors(x) * inside  # (batch, time, phrases)
        return self.dropout(tf.reduce_max(found, axis=1), training=training)
