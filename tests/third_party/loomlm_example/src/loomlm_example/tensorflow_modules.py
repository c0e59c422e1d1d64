"""The `gated_mean` backbone in Keras. The only file here that imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from loomlm.plugin import ModelSpec


class GatedMean(keras.layers.Layer):
    """Built from a ModelSpec; reads `tokens` and `share`, (batch, time) each.

    The names below are those of the layout, `embedding.weight`, `gate.weight`, `gate.bias`: what
    Keras calls an Embedding's or a Dense layer's weight, and that a Dense layer keeps it
    transposed, Loomlm knows.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone")
        self.embedding = keras.layers.Embedding(spec.vocab_size, spec.config.width)
        self.gate = keras.layers.Dense(spec.config.width, activation="sigmoid")
        self.dropout = keras.layers.Dropout(spec.config.dropout)

    def call(self, batch: Mapping[str, Any], training: bool = False) -> Any:
        """Hidden states (batch, width)."""
        words = self.embedding(batch["tokens"])  # (batch, time, width)
        words = words * self.gate(words)
        mean = tf.reduce_sum(words * batch["share"][..., None], axis=1)
        return self.dropout(mean, training=training)
