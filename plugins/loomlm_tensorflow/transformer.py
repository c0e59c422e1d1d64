"""The `transformer` backbone in Keras, from top to bottom.

Names are those of the layout in `loomlm_backbones/transformer.py`. In shapes, `heads` are heads of
queries, of which `groups = heads / kv_heads` share one of keys and values, and `d` is the width of
a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from loomlm.plugin import ModelSpec
from loomlm_tensorflow.drawing import dropout, sizes
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.model import Tensors
from loomlm_tensorflow.pooling import inside, last, pool

Tensor = Any

EPSILON = 1e-5

Turn = tuple[Tensor, Tensor]
"""Cosines and sines that rotary positions turn by, broadcast over (batch, time, heads, d / 2)."""

Keep = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Puts a layer's new keys and values away, and gives those to attend to."""


Source = tuple[Tensor, Tensor, Tensor]
"""A source's keys and values (batch, kv_heads, source, d), and (batch, 1, 1, source), true for what
is of it."""


class Stack(keras.layers.Layer):
    """Positions, layers, a last norm: from tokens' embeddings to their states."""

    def __init__(self, config: Any, layers: Iterable[Any], name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.positions = None
        if config.positions == "learned":
            self.positions = table(config.max_positions, config.width)
        self.layers = list(layers)
        self.norm = make_norm(config) if config.norm_place == "pre" else None

    def through(
        self,
        x: Tensor,
        seen: Tensor,
        keep: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
        places: Tensor | None = None,
        training: bool = False,
        sources: Sequence[Source] = (),
    ) -> Tensor:
        """Embeddings (batch, time, width) to states (batch, time, width).

        seen: (batch or 1, 1, time or 1, keys), true for what is attended to.
        places: (batch, time), where they are not 0, 1, 2, ...
        sources: of layers that write, what each attends to besides.
        """
        time, turn = sizes(x)[1], None
        if self.positions is None:
            turn = turns(self.config, time if places is None else places)
        elif places is None:
            x = x + self.positions(tf.range(time))
        else:
            x = x + self.positions(places)
        x = dropout(x, self.config.dropout, training)
        for index, layer in enumerate(self.layers):
            kept = partial(keep, index) if keep else None
            more = {"source": sources[index]} if sources else {}
            x = layer(x, turn=turn, seen=seen, keep=kept, training=training, **more)
        return x if self.norm is None else self.norm(x)

    def begin(
        self, x: Tensor, length: Tensor, room: Tensor, sources: Sequence[Source] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The states of prompts, embedded (batch, time, width), and a cache of keys and values.

        keys.I, values.I of each layer: (batch, kv_heads, room, d), of which a row has `length`
        (batch,). What right padding left behind them is written over before anything attends to it.
        """
        time = sizes(x)[1]
        behind = tf.maximum(room - time, 0)
        cache: dict[str, Tensor] = {"length": length}

        def keep(layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            for name, new in (("keys", keys), ("values", values)):
                cache[f"{name}.{layer}"] = tf.pad(new, [[0, 0], [0, 0], [0, behind], [0, 0]])
            return keys, values

        return self.through(x, before(time), keep, sources=sources), cache

    def go_on(
        self, x: Tensor, cache: Tensors, sources: Sequence[Source] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The states of tokens, embedded (batch, width), to (batch, width); and the new cache."""
        length = cache["length"]
        room = sizes(cache["keys.0"])[2]
        rows, heads = sizes(x)[0], self.config.kv_heads or self.config.heads
        row, head = tf.meshgrid(tf.range(rows), tf.range(heads), indexing="ij")
        place = tf.stack([row, head, tf.broadcast_to(length[:, None], tf.shape(row))], axis=-1)
        new = {**cache, "length": length + 1}

        def append(layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            for name, one in (("keys", keys), ("values", values)):
                whole = cache[f"{name}.{layer}"]
                new[f"{name}.{layer}"] = tf.tensor_scatter_nd_update(whole, place, one[:, :, 0])
            return new[f"keys.{layer}"], new[f"values.{layer}"]

        seen = inside(length + 1, room)[:, None, None]
        hidden = self.through(x[:, None], seen, append, length[:, None], sources=sources)
        return hidden[:, 0], new


class Transformer(Stack):
    """Embeddings, layers, a last norm. Built from a ModelSpec; reads `tokens` and `length`."""

    def __init__(self, spec: ModelSpec) -> None:
        config = spec.config
        layers = [Layer(config, f"layer_{index}") for index in range(config.layers)]
        super().__init__(config, layers, "backbone")
        self.reads = spec.head.reads
        self.causal = spec.causal or config.causal is True
        self.embedding = table(spec.vocab_size, config.width)

    def call(self, batch: Tensors, training: bool = False) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences."""
        tokens, places = batch["tokens"], None
        time = sizes(tokens)[1]
        if "segment" in batch:
            seen, places = apart(batch["segment"], self.causal)
        elif self.causal:
            seen = before(time)
        else:
            seen = inside(tf.maximum(batch["length"], 1), time)[:, None, None]
        hidden = self.through(self.embedding(tokens), seen, None, places, training)
        if self.reads == "tokens":
            return hidden
        return pool(hidden, batch["length"], self.config.pooling)

    def start(self, batch: Tensors, room: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token, and the rows' cache."""
        hidden, cache = self.begin(self.embedding(batch["tokens"]), batch["length"], room)
        return last(hidden, batch["length"]), cache

    def step(self, cache: Tensors, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Append a token (batch,) to each row: its state (batch, width), and the new cache."""
        return self.go_on(self.embedding(tokens), cache)


def before(time: int | Tensor) -> Tensor:
    """(1, 1, time, time): each place sees itself and those before it."""
    return (tf.range(time)[:, None] >= tf.range(time))[None, None]


class Layer(keras.layers.Layer):
    """Attention, then a network at each token; each adds to the states, which are float32."""

    def __init__(self, config: Any, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.pre = config.norm_place == "pre"
        self.dropout = config.dropout
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        self.mlp_norm = make_norm(config)
        self.mlp = SwiGlu(config) if config.activation == "swiglu" else Mlp(config)

    def call(
        self, x: Tensor, turn: Turn | None, seen: Tensor, keep: Keep | None, training: bool
    ) -> Tensor:
        """(batch, time, width) to the same."""
        if self.pre:
            x = x + self.attend(self.attention_norm(x), turn, seen, keep, training)
            return x + self.transform(self.mlp_norm(x), training)
        x = self.attention_norm(x + self.attend(x, turn, seen, keep, training))
        return self.mlp_norm(x + self.transform(x, training))

    def attend(
        self, x: Tensor, turn: Turn | None, seen: Tensor, keep: Keep | None, training: bool
    ) -> Tensor:
        """What attention adds to the states."""
        found = self.attention(x, turn=turn, seen=seen, keep=keep, training=training)
        return dropout(tf.cast(found, tf.float32), self.dropout, training)

    def transform(self, x: Tensor, training: bool) -> Tensor:
        """What the network adds to them."""
        return dropout(tf.cast(self.mlp(x), tf.float32), self.dropout, training)


class Attention(keras.layers.Layer):
    """Several heads of scaled dot-product attention, with fewer of keys and values if wanted."""

    def __init__(self, config: Any) -> None:
        super().__init__(name="attention", dtype="float32")
        self.dropout = config.dropout
        self.heads, self.kv_heads = config.heads, config.kv_heads or config.heads
        d = self.d = config.head_width
        self.widths = [self.heads * d, self.kv_heads * d, self.kv_heads * d]
        self.qkv = keras.layers.Dense(sum(self.widths), use_bias=config.bias, name="qkv")
        self.query_norm = make_norm(config) if config.qk_norm else None
        self.key_norm = make_norm(config) if config.qk_norm else None
        self.out = keras.layers.Dense(config.width, use_bias=config.bias, name="out")

    def call(
        self, x: Tensor, turn: Turn | None, seen: Tensor, keep: Keep | None, training: bool
    ) -> Tensor:
        """(batch, time, width) to the same."""
        size, time, width = sizes(x)
        q, k, v = tf.split(self.qkv(x), self.widths, axis=-1)
        q = tf.reshape(q, [size, time, self.heads, self.d])
        k = tf.reshape(k, [size, time, self.kv_heads, self.d])
        v = tf.reshape(v, [size, time, self.kv_heads, self.d])
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        q, k, v = (tf.transpose(tf.cast(a, v.dtype), [0, 2, 1, 3]) for a in (q, k, v))
        if keep is not None:
            k, v = keep(k, v)
        groups = self.heads // self.kv_heads
        x = attend(q, k, v, groups, seen, self.dropout if training else 0.0)
        return self.out(tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [size, time, width]))


def apart(segment: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """What each token sees, (batch, 1, time, time), and its place, (batch, time), where a row holds
    several documents, whose tokens have the same number in `segment` (batch, time).
    """
    same = segment[:, :, None] == segment[:, None]
    place = tf.range(sizes(segment)[1])
    before = same & (place[:, None] >= place)
    places = tf.reduce_sum(tf.cast(before, tf.int32), axis=-1) - 1
    return (before if causal else same)[:, None], places


def attend(q: Tensor, k: Tensor, v: Tensor, groups: int, seen: Tensor, drop: float) -> Tensor:
    """Scaled dot-product attention (Vaswani 2017): (batch, heads, time, d) of q to the same.

    k, v: (batch, heads / groups, keys, d). The softmax is taken in float32.
    """
    size, heads, time, d = sizes(q)
    q = q * tf.cast(d**-0.5, q.dtype)
    if groups > 1:
        q = tf.reshape(q, [size, heads // groups, groups, time, d])
        k, v, seen = k[:, :, None], v[:, :, None], seen[:, :, None]
    scores = tf.cast(tf.linalg.matmul(q, k, transpose_b=True), tf.float32)
    weights = tf.cast(tf.nn.softmax(tf.where(seen, scores, -1e30)), v.dtype)
    weights = dropout(weights, drop, training=True)
    return tf.reshape(tf.linalg.matmul(weights, v), [size, heads, time, d])


def turns(config: Any, places: int | Tensor) -> Turn:
    """The cosines and sines of places (batch, time), or of the first so many (Su 2021)."""
    half = config.head_width // 2
    waves = config.rotary_base ** (-np.arange(half, dtype=np.float64) / half)
    if isinstance(places, int):
        angles = np.outer(np.arange(places), waves)[:, None]
        return tf.constant(np.cos(angles), tf.float32), tf.constant(np.sin(angles), tf.float32)
    if places.shape.rank == 0:
        places = tf.range(places)
    angles = (tf.cast(places, tf.float64)[..., None] * waves)[..., None, :]
    return tf.cast(tf.cos(angles), tf.float32), tf.cast(tf.sin(angles), tf.float32)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (x[i], x[i + d / 2]) of each head, (batch, time, heads, d), by their angle."""
    first, second = tf.split(tf.cast(x, tf.float32), 2, axis=-1)
    return tf.concat((first * cos - second * sin, second * cos + first * sin), axis=-1)


class Mlp(keras.layers.Layer):
    """Two matrices and a GELU (Hendrycks 2016)."""

    def __init__(self, config: Any) -> None:
        super().__init__(name="mlp", dtype="float32")
        self.up = keras.layers.Dense(config.inner, use_bias=config.bias, name="up")
        self.down = keras.layers.Dense(config.width, use_bias=config.bias, name="down")
        self.approximate = config.activation == "gelu_tanh"

    def call(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        return self.down(tf.nn.gelu(self.up(x), approximate=self.approximate))


class SwiGlu(keras.layers.Layer):
    """Three matrices, of which one gates another (Shazeer 2020)."""

    def __init__(self, config: Any) -> None:
        super().__init__(name="mlp", dtype="float32")
        self.gate = keras.layers.Dense(config.inner, use_bias=config.bias, name="gate")
        self.up = keras.layers.Dense(config.inner, use_bias=config.bias, name="up")
        self.down = keras.layers.Dense(config.width, use_bias=config.bias, name="down")

    def call(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        return self.down(tf.nn.silu(self.gate(x)) * self.up(x))


def table(rows: int, width: int) -> Any:
    """An embedding; what is added to it stays float32 in every precision."""
    return keras.layers.Embedding(rows, width, dtype="float32")


def make_norm(config: Any) -> Any:
    """RMSNorm (Zhang 2019) or LayerNorm (Ba 2016), in float32."""
    if config.norm == "rmsnorm":
        return keras.layers.RMSNormalization(epsilon=EPSILON, dtype="float32")
    return keras.layers.LayerNormalization(epsilon=EPSILON, center=config.bias, dtype="float32")
