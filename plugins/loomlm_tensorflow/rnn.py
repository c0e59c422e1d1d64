"""The `rnn` backbone in Keras, from top to bottom.

Names are those of the layout in `loomlm_backbones/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomlm.plugin import ModelSpec
from loomlm_tensorflow.drawing import dropout, sizes
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.model import Tensors
from loomlm_tensorflow.pooling import inside, last, pool
from loomlm_tensorflow.scanning import learning_scan, scan

Tensor = Any


def build(spec: ModelSpec) -> Any:
    """The layer of a config: with a source or without."""
    if not spec.config.encoder_decoder:
        return Rnn(spec)
    from loomlm_tensorflow.attentive import AttentiveRnn

    return AttentiveRnn(spec)


class Rnn(keras.layers.Layer):
    """Embeddings and recurrent layers. Built from a ModelSpec; reads `tokens` and `length`."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone", dtype="float32")
        self.config = config = spec.config
        self.reads = spec.head.reads
        self.embedding = keras.layers.Embedding(spec.vocab_size, config.word_width, dtype="float32")
        self.layers = make_layers(config, "layer", config.layers)
        self.reverse_layers = None
        if config.bidirectional:
            self.reverse_layers = make_layers(config, "reverse_layer", config.layers)

    def call(self, batch: Tensors, training: bool = False) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences.

        With bidirectional, their first half has read a row from its start to the token, and the
        second half from its end.
        """
        length, config = batch["length"], self.config
        x = locked_dropout(self._words(batch["tokens"], training), config.share("input"), training)
        share = config.share("layer")
        x = through(x, length, self.layers, self.reverse_layers, share, training)
        x = locked_dropout(x, config.share("output"), training)
        return x if self.reads == "tokens" else self._pool(x, length)

    def start(self, batch: Tensors, room: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token, and the rows' cache.

        states and, of an LSTM, cells: (batch, layers, width).
        """
        x, found = self._words(batch["tokens"], training=False), []
        for layer in self.layers:
            x, states = layer(x, length=tf.maximum(batch["length"], 1))
            found.append(states)
        return self._kept(found)

    def step(self, cache: Tensors, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Append a token (batch,) to each row: its state (batch, width), and the new cache."""
        x, found = self._words(tokens[:, None], training=False), []
        for index, layer in enumerate(self.layers):
            x, states = layer(x, states=[cache[name][:, index] for name in layer.names])
            found.append(states)
        return self._kept(found)

    def _kept(self, found: Sequence[Sequence[Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
        by_name = zip(self.layers[0].names, zip(*found, strict=True), strict=True)
        cache = {name: tf.stack(each, axis=1) for name, each in by_name}
        return cache["states"][:, -1], cache

    def _words(self, tokens: Tensor, training: bool) -> Tensor:
        """(batch, time) to (batch, time, embedding). Dropout leaves out words, not numbers."""
        return words(self.embedding, tokens, self.config.embedding_dropout, training)

    def _pool(self, hidden: Tensor, length: Tensor) -> Tensor:
        """(batch, width); the last state of the reverse layers is where a row begins."""
        if self.config.pooling != "last" or self.reverse_layers is None:
            return pool(hidden, length, self.config.pooling)
        ahead, back = tf.split(hidden, 2, axis=-1)
        return tf.concat((last(ahead, length), back[:, 0]), axis=-1)


class Cells(keras.layers.Layer):
    """The matrices of LSTM or GRU cells, and what a cell makes of its gates."""

    def __init__(self, config: Any, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        gru = config.cell == "gru"
        self.cell, self.names = (gru_cell, ("states",)) if gru else (lstm_cell, ("states", "cells"))
        self.width, self.weight_dropout = config.width, config.weight_dropout
        rows = (3 if gru else 4) * config.width
        self.input_ = keras.layers.Dense(rows, name="input")
        self.recurrent = keras.layers.Dense(rows, use_bias=gru, name="recurrent")

    def build(self, *shapes: Any) -> None:
        self.recurrent.build((None, self.width))
        self.built = True

    def matrix(self, training: bool) -> Tensor:
        """From state to state, with its dropout."""
        matrix = dropout(tf.convert_to_tensor(self.recurrent.kernel), self.weight_dropout, training)
        return tf.cast(matrix, self.recurrent.compute_dtype)

    def bias(self) -> Tensor | None:
        """What is added behind the matrix, where anything is."""
        if not self.recurrent.use_bias:
            return None
        return tf.cast(self.recurrent.bias, self.recurrent.compute_dtype)


class Layer(Cells):
    """LSTM or GRU cells, one after another."""

    def call(
        self,
        x: Tensor,
        states: Sequence[Tensor] | None = None,
        length: Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """(batch, time, in) to outputs (batch, time, width) and the states behind them.

        states: what to begin with, (batch, width) each, h and, of an LSTM, c; zeros by default.
        length: (batch,), where each row's states stop; the last place by default.
        """
        size, time, _ = sizes(x)
        given = tf.transpose(self.input_(x), [1, 0, 2])  # (time, batch, gates * width)
        first = states or [tf.zeros([size, self.width])] * len(self.names)
        matrix, bias = self.matrix(training), self.bias()
        if training and length is None:
            outputs, end = learning_scan(self.cell, given, matrix, bias, first)
        else:
            going = None if length is None else tf.transpose(inside(length, time))[..., None]
            outputs, end = scan(self.cell, given, matrix, bias, first, going)
        return tf.transpose(outputs, [1, 0, 2]), end


def make_layers(config: Any, name: str, count: int) -> list[Layer]:
    """The layers of one direction."""
    return [Layer(config, f"{name}_{i}") for i in range(count)]


def through(
    x: Tensor,
    length: Tensor,
    layers: Sequence[Layer],
    reverse_layers: Sequence[Layer] | None,
    share: float,
    training: bool,
) -> Tensor:
    """(batch, time, in) to the last layer's states, (batch, time, width), those of both directions.

    share: of the states between layers that is left out.
    """
    for index, layer in enumerate(layers):
        if index > 0:
            x = locked_dropout(x, share, training)
        ahead, _ = layer(x, training=training)
        if reverse_layers is not None:
            back, _ = reverse_layers[index](reverse(x, length), training=training)
            ahead = tf.concat((ahead, reverse(back, length)), axis=-1)
        x = ahead
    return x


def words(table: Any, tokens: Tensor, share: float, training: bool) -> Tensor:
    """(batch, time) to (batch, time, embedding); share: of the vocabulary that is left out."""
    found = table(tokens)
    if not (training and share):
        return found
    kept = dropout(tf.ones([table.input_dim, 1]), share, training)
    return found * tf.gather(kept, tokens)


def lstm_cell(given: Tensor, before: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Hochreiter 1997, with forget gates; gates in the order input, forget, cell, output."""
    enter, forget, new, leave = tf.split(given + before, 4, axis=-1)
    cells = tf.sigmoid(forget) * states[1] + tf.sigmoid(enter) * tf.tanh(new)
    return [tf.sigmoid(leave) * tf.tanh(cells), cells]


def gru_cell(given: Tensor, before: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Cho 2014, reset behind the matrix; gates in the order reset, update, new."""
    (reset, update, new), (b_reset, b_update, b_new) = (
        tf.split(gates, 3, axis=-1) for gates in (given, before)
    )
    update = tf.sigmoid(update + b_update)
    new = tf.tanh(new + tf.sigmoid(reset + b_reset) * b_new)
    return [new + update * (states[0] - new)]


def reverse(x: Tensor, length: Tensor) -> Tensor:
    """Each row of (batch, time, width) from its end to its start; what stands behind it stays."""
    return tf.reverse_sequence(x, length, seq_axis=1)


def locked_dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Leave out the same numbers at every place of a row of (batch, time, width) (Gal 2016)."""
    size, _, width = sizes(x)
    return dropout(x, share, training, [size, 1, width])
