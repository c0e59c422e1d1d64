"""The `transformer` backbone in Keras where it reads a source: encoder, decoder, and attention
between them. The parts that it shares with the others stand in `transformer.py`.
"""

from __future__ import annotations

from typing import Any

from loomlm.plugin import ModelSpec
from loomlm_tensorflow.drawing import dropout, sizes
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.model import Tensors
from loomlm_tensorflow.pooling import inside, last
from loomlm_tensorflow.transformer import (
    Keep,
    Layer,
    Source,
    Stack,
    Transformer,
    Turn,
    attend,
    before,
    make_norm,
    table,
)

Tensor = Any


def build(spec: ModelSpec) -> Any:
    """The backbone, of one of its two kinds."""
    return EncoderDecoder(spec) if spec.config.encoder_decoder else Transformer(spec)


class EncoderDecoder(keras.layers.Layer):
    """Reads `source` and `source_length`, `tokens` and `length` (Vaswani 2017)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone", dtype="float32")
        config = spec.config
        self.embedding = table(spec.vocab_size, config.width)
        self.source_embedding = None
        if spec.source_vocab_size is not None:
            self.source_embedding = table(spec.source_vocab_size, config.width)
        reading = [Layer(config, f"layer_{index}") for index in range(config.sources)]
        self.encoder = Stack(config, reading, "encoder")
        writing = [DecoderLayer(config, f"layer_{index}") for index in range(config.layers)]
        self.decoder = Stack(config, writing, "decoder")

    def call(self, batch: Tensors, training: bool = False) -> Tensor:
        """Hidden states of what is written, (batch, time, width)."""
        tokens = batch["tokens"]
        seen = before(sizes(tokens)[1])
        sources = self._sources(batch, training)
        embedded = self.embedding(tokens)
        return self.decoder.through(embedded, seen, training=training, sources=sources)

    def start(self, batch: Tensors, room: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token, and the rows' cache.

        source_keys.I, source_values.I: (batch, kv_heads, source, d), projected once for all that
        is written; seen: (batch, 1, 1, source). The others as of `Stack.begin`.
        """
        sources = self._sources(batch, training=False)
        embedded = self.embedding(batch["tokens"])
        hidden, cache = self.decoder.begin(embedded, batch["length"], room, sources)
        for index, (keys, values, seen) in enumerate(sources):
            cache |= {f"source_keys.{index}": keys, f"source_values.{index}": values, "seen": seen}
        return last(hidden, batch["length"]), cache

    def step(self, cache: Tensors, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Append a token (batch,) to each row: its state (batch, width), and the new cache."""
        sources = [
            (cache[f"source_keys.{index}"], cache[f"source_values.{index}"], cache["seen"])
            for index in range(len(self.decoder.layers))
        ]
        return self.decoder.go_on(self.embedding(tokens), cache, sources)

    def _sources(self, batch: Tensors, training: bool) -> list[Source]:
        """What each layer of the decoder attends to."""
        tokens = batch["source"]
        # A source without a token is read as its first place: attention to nothing is no number.
        seen = inside(tf.maximum(batch["source_length"], 1), sizes(tokens)[1])[:, None, None]
        embed = self.embedding if self.source_embedding is None else self.source_embedding
        states = self.encoder.through(embed(tokens), seen, training=training)
        return [(*layer.cross.read(states), seen) for layer in self.decoder.layers]


class DecoderLayer(Layer):
    """A layer with attention to a source, between attention and network."""

    def __init__(self, config: Any, name: str) -> None:
        super().__init__(config, name)
        self.cross_norm = make_norm(config)
        self.cross = CrossAttention(config)

    def call(  # type: ignore[override] - Keras names it; it reads a source besides
        self,
        x: Tensor,
        turn: Turn | None,
        seen: Tensor,
        keep: Keep | None,
        training: bool,
        source: Source,
    ) -> Tensor:
        """(batch, time, width) to the same."""

        def look(x: Tensor) -> Tensor:
            found = self.cross(x, source=source, training=training)
            return dropout(tf.cast(found, tf.float32), self.dropout, training)

        if self.pre:
            x = x + self.attend(self.attention_norm(x), turn, seen, keep, training)
            x = x + look(self.cross_norm(x))
            return x + self.transform(self.mlp_norm(x), training)
        x = self.attention_norm(x + self.attend(x, turn, seen, keep, training))
        x = self.cross_norm(x + look(x))
        return self.mlp_norm(x + self.transform(x, training))


class CrossAttention(keras.layers.Layer):
    """Attention of what is written to a source; places are not told, but in the states."""

    def __init__(self, config: Any) -> None:
        super().__init__(name="cross", dtype="float32")
        self.dropout = config.dropout
        self.heads, self.kv_heads = config.heads, config.kv_heads or config.heads
        d = self.d = config.head_width
        self.query = keras.layers.Dense(self.heads * d, use_bias=config.bias, name="query")
        self.source = keras.layers.Dense(2 * self.kv_heads * d, use_bias=config.bias, name="source")
        self.query_norm = make_norm(config) if config.qk_norm else None
        self.key_norm = make_norm(config) if config.qk_norm else None
        self.out = keras.layers.Dense(config.width, use_bias=config.bias, name="out")

    def read(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (batch, kv_heads, source, d) of a source's states."""
        size, time, _ = sizes(states)
        both = tf.reshape(self.source(states), [size, time, 2, self.kv_heads, self.d])
        k, v = tf.unstack(both, axis=2)
        if self.key_norm is not None:
            k = tf.cast(self.key_norm(k), v.dtype)
        return tf.transpose(k, [0, 2, 1, 3]), tf.transpose(v, [0, 2, 1, 3])

    def call(self, x: Tensor, source: Source, training: bool) -> Tensor:
        """(batch, time, width) to the same."""
        size, time, width = sizes(x)
        k, v, seen = source
        q = tf.reshape(self.query(x), [size, time, self.heads, self.d])
        if self.query_norm is not None:
            q = self.query_norm(q)
        q = tf.transpose(tf.cast(q, v.dtype), [0, 2, 1, 3])
        groups = self.heads // self.kv_heads
        x = attend(q, k, v, groups, seen, self.dropout if training else 0.0)
        return self.out(tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [size, time, width]))
