"""The `mlp` backbone in Keras."""

from __future__ import annotations

from typing import Any

from loomlm.plugin import ModelSpec
from loomlm_tensorflow.drawing import dropout, inside_engine, sizes
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.model import Tensors
from loomlm_tensorflow.pooling import pool
from loomlm_tensorflow.updates import ABSENT

Tensor = Any

ACTIVATIONS = {
    "relu": tf.nn.relu,
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "tanh": tf.tanh,
}


def build(spec: ModelSpec) -> Any:
    """The layer that the config means."""
    return Mlp(spec) if spec.config.window is None else WindowMlp(spec)


class Mlp(keras.layers.Layer):
    """Pooled rows, hidden layers. Built from a ModelSpec.

    Reads `tokens` and `word_mask` (batch, time), `ngrams` and `ngram_mask` (batch, grams),
    `subwords` and `subword_mask` (batch, runs); of rows with two texts `pair_word_mask` and its
    like besides.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone", dtype="float32")
        self.config = config = spec.config
        idf = config.weighting == "tfidf"
        self.embedding = Table(spec.vocab_size, config.width, idf)
        self.ngrams = Table(config.buckets, config.width, idf) if config.ngrams > 1 else None
        self.subwords = Table(config.buckets, config.width, idf) if config.subwords else None
        names = [field.name for field in spec.batch.fields]
        self.compare = keras.layers.Dense(config.width) if "pair_word_mask" in names else None
        self.hidden = [keras.layers.Dense(width) for width in config.hidden]

    def call(self, batch: Tensors, training: bool = False) -> Tensor:
        """Hidden states (batch, width)."""
        x = self._pooled(batch, "", training)
        if self.compare is None:
            return hidden_layers(self, x, training)
        other = self._pooled(batch, "pair_", training)
        x = tf.concat((x, other, tf.abs(x - other), x * other), axis=1)
        return hidden_layers(self, x, training, self.compare)

    def _pooled(self, batch: Tensors, of: str, training: bool) -> Tensor:
        """The vector of one of a row's texts, (batch, width). of: what its masks begin with."""
        root = self.config.pooling == "root"
        drop = self.config.word_dropout if training else 0.0
        mask = batch[f"{of}word_mask"]
        pooled, size = self.embedding(batch["tokens"], mask, root=root, drop=drop)
        if self.ngrams is not None:
            mask = batch[f"{of}ngram_mask"]
            more, more_size = self.ngrams(batch["ngrams"], mask, root=root, drop=drop)
            pooled, size = pooled + more, size + more_size
        pooled = scaled(pooled, size, root)
        if self.subwords is None:
            return pooled
        mask = batch[f"{of}subword_mask"]
        more, more_size = self.subwords(batch["subwords"], mask, root=root, drop=drop)
        return pooled + scaled(more, more_size, root)

    def complete(self, batch: Tensors) -> Tensors:
        """What a batch of tokens alone has besides, where they can tell it."""
        config = self.config
        if config.ngrams > 1 or config.subwords or config.weighting != "none":
            return batch
        return {**batch, "word_mask": tf.cast(batch["inside"], tf.float32)}


def scaled(summed: Tensor, size: Tensor, root: bool) -> Tensor:
    """A sum of rows (batch, width) by the sum of their weights, or the root of their squares'."""
    size = tf.sqrt(size) if root else size
    return summed / tf.maximum(size, 1e-6)[:, None]


def hidden_layers(backbone: Any, x: Tensor, training: bool, *first: Any) -> Tensor:
    """(..., in) to (..., width). first: layers in front of the hidden ones."""
    config = backbone.config
    x = dropout(x, config.dropout, training)
    for layer in (*first, *backbone.hidden):
        x = ACTIVATIONS[config.activation](tf.cast(layer(x), tf.float32))
        x = dropout(x, config.dropout, training)
    return x


class Table(keras.layers.Layer):
    """Rows and, with idf, what each counts."""

    def __init__(self, rows: int, width: int, idf: bool) -> None:
        super().__init__(dtype="float32")
        self.weight = self.add_weight(shape=(rows, width), name="weight")
        self.idf = self.add_weight(shape=(rows,), name="idf", trainable=False) if idf else None

    def call(self, rows: Tensor, mask: Tensor, root: bool, drop: float) -> tuple[Tensor, Tensor]:
        """Weighted sum of rows (batch, width), and the sum of weights or of their squares (batch,).

        Dropout leaves out words, not numbers, and what is left counts for more.
        """
        weight = mask
        if self.idf is not None:
            weight = weight * tf.gather(tf.convert_to_tensor(self.idf), rows)
        size = tf.reduce_sum(tf.square(weight) if root else weight, axis=1)
        kept = dropout(weight, drop, training=True)
        words = looked_up(tf.convert_to_tensor(self.weight), rows, mask > 0)
        return tf.linalg.matmul(kept[:, None], words)[:, 0], size


def looked_up(table: Tensor, rows: Tensor, present: Tensor) -> Tensor:
    """Rows of a table, (batch, time, width); those that are not present do not learn.

    Their gradient, which is 0, names no row for an engine, and for Keras one that is there anyway.
    """

    named = tf.where(present, rows, ABSENT)
    if not inside_engine():
        named = tf.where(present, rows, tf.maximum(tf.reduce_max(named), 0))

    @tf.custom_gradient
    def look(table: Tensor) -> tuple[Tensor, Any]:
        def gradient(upstream: Tensor) -> Any:
            values = tf.reshape(upstream, [-1, table.shape[1]])
            return tf.IndexedSlices(values, tf.reshape(named, [-1]), tf.shape(table))

        return tf.gather(table, rows), gradient

    return look(table)


class WindowMlp(keras.layers.Layer):
    """Hidden layers on the embeddings of the last tokens (Bengio 2003). Built from a ModelSpec.

    Reads `tokens` (batch, time) and `length` (batch,).
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(name="backbone", dtype="float32")
        self.config = config = spec.config
        self.reads = spec.head.reads
        self.embedding = keras.layers.Embedding(spec.vocab_size, config.width, dtype="float32")
        self.hidden = [keras.layers.Dense(width) for width in config.widths]

    def call(self, batch: Tensors, training: bool = False) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences."""
        tokens = batch["tokens"]
        time = sizes(tokens)[1]
        words = self._words(tokens)
        windows = [words[:, shift : shift + time] for shift in range(self.config.window)]
        hidden = hidden_layers(self, tf.concat(windows, axis=-1), training)
        return hidden if self.reads == "tokens" else pool(hidden, batch["length"], "mean")

    def start(self, batch: Tensors, room: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token; `recent` are its windows' words.

        recent: (batch, window, width).
        """
        first = tf.maximum(batch["length"] - 1, 0)[:, None]
        place = first + tf.range(self.config.window)
        recent = tf.gather(self._words(batch["tokens"]), place, axis=1, batch_dims=1)
        return self._read(recent), {"recent": recent}

    def step(self, cache: Tensors, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Append a token (batch,) to each row: its state (batch, width), and the new cache."""
        word = self.embedding(tokens)[:, None]
        recent = tf.concat((cache["recent"][:, 1:], word), axis=1)
        return self._read(recent), {"recent": recent}

    def _read(self, recent: Tensor) -> Tensor:
        flat = tf.reshape(recent, [-1, self.config.window * self.config.width])
        return hidden_layers(self, flat, training=False)

    def _words(self, tokens: Tensor) -> Tensor:
        """(batch, time) to (batch, window - 1 + time, width), zeros in front."""
        return tf.pad(self.embedding(tokens), [[0, 0], [self.config.window - 1, 0], [0, 0]])
