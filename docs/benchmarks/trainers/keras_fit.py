"""Keras 3 on TensorFlow: GPT-2 of Keras' own layers, or KerasHub's, trained by `fit` with XLA.

python keras_fit.py SIZE STEPS WARMUP           layers of Keras
KERASHUB=1 python keras_fit.py ...              keras_hub.models.GPT2Backbone
"""

from __future__ import annotations

import json
import os

import keras
import tensorflow as tf
from keras import layers, ops
from keras_clock import Clock
from sizes import Asked, Size, asked, numbers, windows
from timing import mark, measured, threads


class Block(layers.Layer):
    """Attention and a network, each behind a norm."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norms = [layers.LayerNormalization(epsilon=1e-5) for _ in range(2)]
        self.attention = layers.MultiHeadAttention(size.heads, size.width // size.heads)
        self.up = layers.Dense(4 * size.width, activation="gelu")
        self.down = layers.Dense(size.width)

    def call(self, x):
        normed = self.norms[0](x)
        x = x + self.attention(normed, normed, use_causal_mask=True)
        return x + self.down(self.up(self.norms[1](x)))


def of_layers(size: Size) -> keras.Model:
    tokens = keras.Input((size.context,), dtype="int32")
    embedding = layers.ReversibleEmbedding(size.vocabulary, size.width)
    x = embedding(tokens) + layers.Embedding(size.context, size.width)(ops.arange(size.context))
    for _ in range(size.layers):
        x = Block(size)(x)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    return keras.Model(tokens, embedding(x, reverse=True))


def of_lstm(size: Size) -> keras.Model:
    tokens = keras.Input((size.context,), dtype="int32")
    embedding = layers.ReversibleEmbedding(size.vocabulary, size.width)
    x = embedding(tokens)
    for _ in range(size.layers):
        x = layers.LSTM(size.width, return_sequences=True)(x)
    return keras.Model(tokens, embedding(x, reverse=True))


def of_keras_hub(size: Size) -> keras.Model:
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=size.vocabulary,
        num_layers=size.layers,
        num_heads=size.heads,
        hidden_dim=size.width,
        intermediate_dim=4 * size.width,
        dropout=0.0,
        max_sequence_length=size.context,
    )
    tokens = keras.Input((size.context,), dtype="int32")
    states = backbone({"token_ids": tokens, "padding_mask": ops.ones_like(tokens, "bool")})
    return keras.Model(tokens, backbone.token_embedding(states, reverse=True))


def main(given: Asked) -> None:
    threads(given.threads)
    size, data = given.size, numbers(given.size)
    if given.bf16:
        keras.config.set_dtype_policy("mixed_bfloat16")
    shape = tf.TensorSpec((size.batch, size.context), tf.int32)
    batches = tf.data.Dataset.from_generator(
        lambda: windows(size, data), output_signature=(shape, shape)
    )
    made, clock = mark(0), Clock(given.warmup)
    if size.recurrent:
        model = of_lstm(size)
    else:
        model = (of_keras_hub if os.environ.get("KERASHUB") else of_layers)(size)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=True)
    model.fit(
        batches.prefetch(tf.data.AUTOTUNE),
        steps_per_epoch=given.steps,
        verbose=0,
        callbacks=[clock],
    )
    print(json.dumps(measured(made, clock.at, mark(given.steps), {})))


if __name__ == "__main__":
    main(asked())
