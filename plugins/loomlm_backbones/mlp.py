"""The `mlp` backbone: its layout, its hashed n-grams, and word vectors from a file."""

from __future__ import annotations

from math import sqrt

import numpy as np
from attrs import evolve, frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    Parameter,
    Uniform,
)
from loomlm_backbones.config import MlpConfig
from loomlm_backbones.vectors import read_vectors

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MIXER = np.uint64(0xBF58476D1CE4E5B9)


@frozen
class Mlp:
    """Sum of `word_weight` times word rows and `ngram_weight` times n-gram rows, hidden layers.

    Parameters: `embedding.weight` (vocab_size, width); `ngrams.weight` (buckets, width) where
    n-grams are asked for; `hidden.I.weight` (out, in) and `hidden.I.bias` (out,). The two tables
    are sparse: their rows learn when a batch touches them, that is, names them with a weight
    above 0.
    """

    config: MlpConfig

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"sequence", "bidirectional"})

    @property
    def threads(self) -> int | None:
        return 1

    @property
    def width(self) -> int:
        return self.config.hidden[-1] if self.config.hidden else self.config.width

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        config = self.config
        vectors = config.embedding
        words = _table("embedding.weight", context.vocab_size, config.width)
        layout = [evolve(words, trainable=vectors is None or vectors.trainable)]
        if config.ngrams > 1:
            layout.append(_table("ngrams.weight", config.buckets, config.width))
        narrow = config.width
        for index, wide in enumerate(config.hidden):
            layout += _layer(f"hidden.{index}", wide, narrow)
            narrow = wide
        return tuple(layout)

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """tokens (batch, time) and word_weight; ngrams (batch, orders * time) and ngram_weight."""
        kept = tuple(field for field in spec.fields if field.name != "length")
        added = [BatchField("word_weight", "float32", ("batch", "time"))]
        orders = self.config.ngrams - 1
        if orders:
            time = f"{orders}*time"
            added += [
                BatchField("ngrams", "int32", ("batch", time)),
                BatchField("ngram_weight", "float32", ("batch", time)),
            ]
        shapes = tuple({**shape, f"{orders}*time": orders * shape["time"]} for shape in spec.shapes)
        return BatchSpec(kept + tuple(added), shapes if orders else spec.shapes)

    def prepare(self, batch: Batch) -> Batch:
        """Hash the n-grams, and give every word and n-gram of a text the same weight."""
        tokens, length = batch["tokens"], batch["length"]
        place = np.arange(tokens.shape[1])
        words = place < length[:, None]
        grams = [
            (hashed_ngrams(tokens, order, self.config.buckets), place < length[:, None] - order + 1)
            for order in range(2, self.config.ngrams + 1)
        ]
        count = words.sum(axis=1) + sum(present.sum(axis=1) for _, present in grams)
        share = (1 / np.maximum(count, 1)).astype(np.float32)[:, None]
        arrays = {name: array for name, array in batch.arrays.items() if name != "length"}
        arrays["word_weight"] = words * share
        if grams:
            arrays["ngrams"] = np.concatenate([rows for rows, _ in grams], axis=1)
            arrays["ngram_weight"] = np.concatenate([p for _, p in grams], axis=1) * share
        return Batch(arrays)

    def fit(self, context: FitContext) -> Fitted:
        """The rows of the words that the vectors' file has."""
        if self.config.embedding is None:
            return Fitted()
        return read_vectors(self.config.embedding.file, self.config.width, context)


def hashed_ngrams(tokens: np.ndarray, order: int, buckets: int) -> np.ndarray:
    """The row of the n-gram that starts at each place, int32 (batch, time).

    The last `order - 1` places of a row have none: what stands there means nothing.
    """
    hashed = tokens.astype(np.uint64) + np.uint64(1)
    for shift in range(1, order):
        following = np.zeros_like(hashed)
        following[:, :-shift] = tokens[:, shift:]
        hashed = hashed * MULTIPLIER + following + np.uint64(1)
    hashed ^= hashed >> np.uint64(30)
    hashed *= MIXER
    hashed ^= hashed >> np.uint64(27)
    return (hashed % np.uint64(buckets)).astype(np.int32)


def _table(name: str, rows: int, width: int) -> Parameter:
    return Parameter(
        name=name,
        shape=(rows, width),
        init=Uniform(0.05),
        role="embedding",
        decay=False,
        sparse=True,
    )


def _layer(name: str, wide: int, narrow: int) -> list[Parameter]:
    bound = Uniform(sqrt(6 / (wide + narrow)))  # Glorot and Bengio 2010
    return [
        Parameter(
            name=f"{name}.weight", shape=(wide, narrow), init=bound, role="matrix", decay=True
        ),
        Parameter(
            name=f"{name}.bias", shape=(wide,), init=Constant(0.0), role="vector", decay=False
        ),
    ]
