"""The `rnn` backbone as an encoder-decoder in Keras, from top to bottom.

Names are those of the layout in `loomlm_backbones/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomlm.plugin import ModelSpec
from loomlm_tensorflow.drawing import sizes
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.model import Tensors
from loomlm_tensorflow.pooling import inside, last
from loomlm_tensorflow.rnn import Cells, locked_dropout, make_layers, through, words
from loomlm_tensorflow.scanning import from_state, going_on, loop

Tensor = Any

FAR = -1e30
"""The score of what is not attended to."""


class AttentiveRnn(keras.layers.Layer):
    """An encoder, and a decoder with attention to it (Bahdanau 2015). Built from a ModelSpec.

    Reads `source` and `source_length`, `tokens` and `length`.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone", dtype="float32")
        self.config = config = spec.config
        self.embedding = _table(spec.vocab_size, config)
        own = spec.source_vocab_size
        self.source_embedding = None if own is None else _table(own, config)
        self.encoder = Encoder(config)
        self.parts = 1 if config.cell == "gru" else 2
        self.bridge = keras.layers.Dense(self.parts * config.layers * config.width, name="bridge")
        self.attention = Attention(config.width, additive=config.attention == "bahdanau")
        first = AttentiveLayer(config, "layer_0")
        self.layers = [first, *make_layers(config, "further_layer", config.layers - 1)]
        self.readout = keras.layers.Dense(config.word_width, name="readout")

    def call(self, batch: Tensors, training: bool = False) -> Tensor:
        """What stands behind each token of the target, (batch, time, embedding)."""
        source, states = self._read(batch, training)
        hidden, _ = self._write(batch["tokens"], source, states, training=training)
        return locked_dropout(hidden, self.config.share("output"), training)

    def start(self, batch: Tensors, room: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What stands behind each row's last token, (batch, embedding), and the rows' cache.

        memory, keys and hidden: see `_read`. states and, of an LSTM, cells: (batch, layers, width).
        """
        source, begin = self._read(batch, training=False)
        length = tf.maximum(batch["length"], 1)
        hidden, found = self._write(batch["tokens"], source, begin, length=length)
        return last(hidden, length), {**source, **self._kept(found)}

    def step(self, cache: Tensors, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Append a token (batch,) to each row: its state (batch, embedding), and the new cache."""
        source = {name: cache[name] for name in ("memory", "keys", "hidden")}
        before = [tf.unstack(cache[name], self.config.layers, axis=1) for name in self._names]
        hidden, found = self._write(tokens[:, None], source, list(zip(*before, strict=True)))
        return hidden[:, 0], {**source, **self._kept(found)}

    @property
    def _names(self) -> tuple[str, ...]:
        return ("states", "cells")[: self.parts]

    def _kept(self, found: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
        by_name = zip(self._names, zip(*found, strict=True), strict=True)
        return {name: tf.stack(each, axis=1) for name, each in by_name}

    def _read(self, batch: Tensors, training: bool) -> tuple[Tensors, list[list[Tensor]]]:
        """The source, and what each layer of the decoder begins with: h and, of an LSTM, c.

        Of the source memory, the encoder's states, (batch, source, 2 * width); keys, what they are
        scored by, (batch, source, width); hidden, true (batch, source) behind its end.
        """
        # An empty source is read as its first place: attention to nothing is not a number.
        length = tf.maximum(batch["source_length"], 1)
        table = self.embedding if self.source_embedding is None else self.source_embedding
        given = self._words(table, batch["source"], training)
        memory = self.encoder(given, length, training=training)
        ahead, back = tf.split(memory, 2, axis=-1)
        ends = tf.concat((last(ahead, length), back[:, 0]), axis=-1)
        begin = tf.tanh(tf.cast(self.bridge(ends), tf.float32))
        shape = [-1, self.parts, self.config.layers, self.config.width]
        parts = tf.unstack(tf.reshape(begin, shape), axis=2)
        memory = locked_dropout(memory, self.config.share("layer"), training)
        hidden = tf.logical_not(inside(length, sizes(memory)[1]))
        source = {"memory": memory, "keys": self.attention.key(memory), "hidden": hidden}
        return source, [tf.unstack(each, axis=1) for each in parts]

    def _write(
        self,
        tokens: Tensor,
        source: Tensors,
        states: Sequence[Sequence[Tensor]],
        length: Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """What the head reads behind each token (batch, time), and each layer's last states."""
        given = self._words(self.embedding, tokens, training)
        first, *further = self.layers
        more = {"length": length, "training": training}
        x, contexts, end = first(
            given, source=source, attention=self.attention, states=states[0], **more
        )
        found = [end]
        for layer, begin in zip(further, states[1:], strict=True):
            x = locked_dropout(x, self.config.share("layer"), training)
            x, end = layer(x, states=begin, **more)
            found.append(end)
        hidden = self.readout(tf.concat((x, contexts, given), axis=-1))
        return tf.tanh(tf.cast(hidden, tf.float32)), found

    def _words(self, table: Any, tokens: Tensor, training: bool) -> Tensor:
        found = words(table, tokens, self.config.embedding_dropout, training)
        return locked_dropout(found, self.config.share("input"), training)


class Encoder(keras.layers.Layer):
    """Recurrent layers that read a row from both ends."""

    def __init__(self, config: Any) -> None:
        super().__init__(name="encoder", dtype="float32")
        self.config = config
        self.layers = make_layers(config, "layer", config.sources)
        self.reverse_layers = make_layers(config, "reverse_layer", config.sources)

    def call(self, x: Tensor, length: Tensor, training: bool = False) -> Tensor:
        """(batch, source, embedding) to (batch, source, 2 * width), from each end."""
        share = self.config.share("layer")
        return through(x, length, self.layers, self.reverse_layers, share, training)


class Attention(keras.layers.Layer):
    """Which places of a source a state attends to."""

    def __init__(self, width: int, additive: bool) -> None:
        super().__init__(name="attention")
        # The product with a bias would be the same at every place: the softmax takes it away.
        self.key = keras.layers.Dense(width, use_bias=additive, name="key")
        self.query = self.score = None
        if additive:
            self.query = keras.layers.Dense(width, use_bias=False, name="query")
            self.query.build((None, width))
            self.score = self.add_weight(name="score", shape=(width,))
        self.built = True

    def call(self, state: Tensor, source: Tensors) -> Tensor:
        """(batch, width) to the source's mean, (batch, 2 * width)."""
        keys = source["keys"]
        if self.query is None:
            scores = tf.linalg.matvec(keys, tf.cast(state, keys.dtype))
        else:
            score = tf.cast(self.score, keys.dtype)
            scores = tf.tensordot(tf.tanh(keys + self.query(state)[:, None]), score, 1)
        scores = tf.where(source["hidden"], FAR, tf.cast(scores, tf.float32))
        shares = tf.cast(tf.nn.softmax(scores), source["memory"].dtype)
        return tf.linalg.matmul(shares[:, None], source["memory"])[:, 0]


class AttentiveLayer(Cells):
    """LSTM or GRU cells, each of which reads a token, and what the state before it attends to."""

    def __init__(self, config: Any, name: str) -> None:
        super().__init__(config, name)
        self.context = keras.layers.Dense(self.input_.units, use_bias=False, name="context")

    def build(self, *shapes: Any) -> None:
        self.context.build((None, 2 * self.width))
        super().build(*shapes)

    def call(
        self,
        x: Tensor,
        source: Tensors,
        attention: Attention,
        states: Sequence[Tensor],
        length: Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Outputs (batch, time, width), contexts (batch, time, 2 * width), the states behind them.

        x, states and length as of Layer.
        """
        _, time, _ = sizes(x)
        given = tf.transpose(self.input_(x), [1, 0, 2])  # (time, batch, gates * width)
        matrix, bias = self.matrix(training), self.bias()
        going = None if length is None else tf.transpose(inside(length, time))[..., None]

        def advance(at: Tensor, states: list[Tensor], written: list[Any]) -> tuple[Any, Any]:
            context = tf.cast(attention(states[0], source), tf.float32)
            now = tf.cast(given[at], tf.float32) + tf.cast(self.context(context), tf.float32)
            before = tf.cast(from_state(states[0], matrix, bias), tf.float32)
            new = going_on(going, at, self.cell(now, before, states), states)
            pair = zip(written, (new[0], context), strict=True)
            return new, [one.write(at, value) for one, value in pair]

        arrays = [
            tf.TensorArray(tf.float32, size=time, element_shape=[x.shape[0], width])
            for width in (self.width, 2 * self.width)
        ]
        end, arrays = loop(time, advance, list(states), arrays)
        outputs, contexts = (tf.transpose(one.stack(), [1, 0, 2]) for one in arrays)
        return outputs, contexts, list(end)


def _table(rows: int, config: Any) -> Any:
    return keras.layers.Embedding(rows, config.word_width, dtype="float32")
