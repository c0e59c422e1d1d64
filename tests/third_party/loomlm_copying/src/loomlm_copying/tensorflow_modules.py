"""The backbone `encoder_decoder` in Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from loomlm.plugin import ModelSpec

Tensor = Any


class EncoderDecoder(keras.layers.Layer):
    """Reads `source` and `source_length`, `tokens` and `length`; gives (batch, time, width)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone")
        width = self.width = spec.config.width
        self.embedding = keras.layers.Embedding(spec.vocab_size, width)
        self.positions = keras.layers.Embedding(spec.config.longest, width)
        self.encoder = Gru(width)
        self.decoder = Gru(width)
        self.query = keras.layers.Dense(width, use_bias=False)
        self.key = keras.layers.Dense(width, use_bias=False)
        self.out = keras.layers.Dense(width, use_bias=False, activation="tanh")
        self.dropout = keras.layers.Dropout(spec.config.dropout)

    def call(self, batch: Mapping[str, Tensor], training: bool = False) -> Tensor:
        states = self.decoder(self._embed(batch["tokens"], training=training))
        return self._attend(states, *self._read(batch, training))

    def start(self, batch: Mapping[str, Tensor], room: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The cache: what was read, and where each row's decoder stands."""
        states = self.decoder(self._embed(batch["tokens"]))
        place = batch["length"]
        state = tf.gather(states, place - 1, axis=1, batch_dims=1)
        memory, hidden = self._read(batch, training=False)
        cache = {"memory": memory, "hidden": hidden, "state": state, "place": place}
        return self._attend(state[:, None], memory, hidden)[:, 0], cache

    def step(self, cache: Mapping[str, Tensor], tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        embedded = self._embed(tokens[:, None], cache["place"][:, None])
        states = self.decoder(embedded, cache["state"])
        new = {**cache, "state": states[:, 0], "place": cache["place"] + 1}
        return self._attend(states, cache["memory"], cache["hidden"])[:, 0], new

    def _read(self, batch: Mapping[str, Tensor], training: bool) -> tuple[Tensor, Tensor]:
        """States of the source (batch, source, width), and true (batch, source) behind its end."""
        embedded = self._embed(batch["source"], training=training)
        places = tf.range(tf.shape(embedded)[1])
        # An empty source is read as its first place: attention to nothing is not a number.
        hidden = places >= tf.maximum(batch["source_length"], 1)[:, None]
        return self.encoder(embedded) + embedded, hidden

    def _embed(
        self, tokens: Tensor, places: Tensor | None = None, training: bool = False
    ) -> Tensor:
        if places is None:
            places = tf.range(tf.shape(tokens)[1])
        embedded = self.embedding(tokens) + self.positions(places)
        return self.dropout(embedded, training=training)

    def _attend(self, states: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """(batch, time, width) states to the same, with what they attend to."""
        scores = tf.matmul(self.query(states), self.key(memory), transpose_b=True)
        scores = tf.where(hidden[:, None], -1e30, scores / self.width**0.5)
        found = tf.matmul(tf.nn.softmax(scores), memory)
        return self.out(tf.concat([states, found], axis=-1))


class Gru(keras.layers.Layer):
    """A GRU with the parameters of `torch.nn.GRU`: gates reset, update, new, and two biases.

    That of Keras has its gates in another order, and both biases in one variable.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight_ih_l0 = self.add_weight(shape=(3 * width, width), name="weight_ih_l0")
        self.weight_hh_l0 = self.add_weight(shape=(3 * width, width), name="weight_hh_l0")
        self.bias_ih_l0 = self.add_weight(shape=(3 * width,), name="bias_ih_l0")
        self.bias_hh_l0 = self.add_weight(shape=(3 * width,), name="bias_hh_l0")

    def call(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """(batch, time, width) to the states, (batch, time, width)."""
        rows, time = tf.shape(x)[0], x.shape[1] or tf.shape(x)[1]
        given = tf.matmul(x, tf.convert_to_tensor(self.weight_ih_l0)[None], transpose_b=True)
        given = tf.transpose(given + self.bias_ih_l0, [1, 0, 2])
        if state is None:
            state = tf.zeros([rows, self.width])

        def advance(at: Tensor, state: Tensor, written: Any) -> tuple[Any, Any, Any]:
            before = tf.matmul(state, tf.convert_to_tensor(self.weight_hh_l0), transpose_b=True)
            reset, update, new = tf.split(given[at], 3, axis=-1)
            b_reset, b_update, b_new = tf.split(before + self.bias_hh_l0, 3, axis=-1)
            update = tf.sigmoid(update + b_update)
            new = tf.tanh(new + tf.sigmoid(reset + b_reset) * b_new)
            state = new + update * (state - new)
            return at + 1, state, written.write(at, state)

        written = tf.TensorArray(tf.float32, size=time, element_shape=[x.shape[0], self.width])
        _, _, written = tf.while_loop(
            lambda at, state, written: at < time,
            advance,
            (tf.constant(0), state, written),
            maximum_iterations=time,
        )
        return tf.transpose(written.stack(), [1, 0, 2])
