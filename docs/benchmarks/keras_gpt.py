"""The model of `shakespeare.toml` in Keras 3, trained by `fit` as one who knows Keras writes it.

    python docs/benchmarks/keras_gpt.py TEXT STEPS WARMUP

The same arithmetic as `bare_gpt.py`. Prints JSON, as `timing.py` does; the last tenth's loss where
all steps are made.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from keras_clock import Clock
from timing import mark, measured, threads

LAYERS, HEADS, WIDTH, HIDDEN, CONTEXT, BATCH = 4, 4, 128, 344, 64, 12
PEAK, FLOOR, RISE, TOTAL = 1e-3, 1e-4, 100, 2000


def dense(width: int, scaled: bool = False) -> layers.Dense:
    spread = 0.02 / (math.sqrt(2 * LAYERS) if scaled else 1)
    return layers.Dense(
        width, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(0, spread)
    )


class Attention(layers.Layer):
    """Heads that see what is before them, with rotary positions."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = dense(3 * WIDTH), dense(WIDTH, scaled=True)
        size = WIDTH // HEADS // 2
        angles = np.arange(CONTEXT)[:, None] / 10000 ** (np.arange(size) / size)
        self.cos = np.cos(angles).astype("float32")[:, None]
        self.sin = np.sin(angles).astype("float32")[:, None]

    def turned(self, x):
        """(rows, time, heads, width), halves of a head as pairs."""
        one, other = ops.split(x, 2, axis=-1)
        return ops.concatenate(
            [one * self.cos - other * self.sin, one * self.sin + other * self.cos], axis=-1
        )

    def call(self, x):
        q, k, v = ops.split(
            ops.reshape(self.qkv(x), (-1, CONTEXT, 3 * HEADS, WIDTH // HEADS)), 3, axis=2
        )
        mixed = ops.dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True)
        return self.out(ops.reshape(mixed, (-1, CONTEXT, WIDTH)))


class Network(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = dense(HIDDEN), dense(HIDDEN), dense(WIDTH, scaled=True)

    def call(self, x):
        return self.down(ops.silu(self.gate(x)) * self.up(x))


def gpt(vocabulary: int) -> keras.Model:
    tokens = keras.Input((CONTEXT,), dtype="int32")
    embedding = layers.ReversibleEmbedding(
        vocabulary, WIDTH, embeddings_initializer=keras.initializers.RandomNormal(0, 0.02)
    )
    x = embedding(tokens)
    for _ in range(LAYERS):
        x = x + Attention()(layers.RMSNormalization(epsilon=1e-5)(x))
        x = x + Network()(layers.RMSNormalization(epsilon=1e-5)(x))
    return keras.Model(tokens, embedding(layers.RMSNormalization(epsilon=1e-5)(x), reverse=True))


def windows(data: np.ndarray, steps: int) -> tf.data.Dataset:
    """Batches of random windows, each with what follows its tokens."""
    starts = np.random.default_rng(1337).integers(len(data) - CONTEXT, size=(steps, BATCH))
    text = tf.constant(data)

    def batch(start):
        rows = tf.gather(text, start[:, None] + tf.range(CONTEXT + 1))
        return rows[:, :-1], rows[:, 1:]

    starts = tf.data.Dataset.from_tensor_slices(starts.astype("int32"))
    return starts.map(batch).prefetch(tf.data.AUTOTUNE)


def loss_of(model: keras.Model, data: np.ndarray) -> float:
    """Mean over all whole windows, one after another."""
    count = (len(data) - 1) // CONTEXT * CONTEXT
    rows, following = (data[start : start + count].reshape(-1, CONTEXT) for start in (0, 1))
    return float(model.evaluate(rows, following, batch_size=256, verbose=0))


def compiled(vocabulary: int) -> keras.Model:
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, TOTAL - RISE, alpha=FLOOR / PEAK, warmup_target=PEAK, warmup_steps=RISE
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=0.1, beta_2=0.99, epsilon=1e-8, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["scale"])
    model = gpt(vocabulary)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=True)
    return model


def main(path: Path, steps: int, warmup: int) -> None:
    threads(1)
    keras.utils.set_random_seed(1337)
    text = gzip.decompress(path.read_bytes()).decode()
    ids = {character: number for number, character in enumerate(sorted(set(text)))}
    data = np.array([ids[character] for character in text], "int32")
    train, held = data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :]
    batches = windows(train, steps)
    made, clock = mark(0), Clock(warmup)
    model = compiled(len(ids))
    model.fit(batches, verbose=0, callbacks=[clock])
    ended = mark(steps)
    score = {"loss": loss_of(model, held) if steps == TOTAL else None}
    print(json.dumps(measured(made, clock.at, ended, {"validation": score})))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
