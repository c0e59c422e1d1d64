"""The built-in backbone `mlp` in NumPy: forwards, and backwards by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.plugin import ModelSpec
from loomlm_numpy.layers import (
    Array,
    Cache,
    Dropout,
    Gradients,
    NumpyBackbone,
    Rows,
    Weights,
    dense_layers,
    hidden_names,
    no_dropout,
)

Back = Callable[[Array], Gradients]


def build(spec: ModelSpec) -> NumpyBackbone:
    """What the config means."""
    if spec.config.window is None:
        compares = any(field.name == "pair_word_mask" for field in spec.batch.fields)
        return PooledMlp(spec.config, compares)
    return WindowMlp(spec.config, spec.head.reads)


@frozen
class PooledMlp:
    """Pooled rows of words and n-grams, then hidden layers.

    Reads `tokens` and `word_mask` (batch, time), `ngrams` and `ngram_mask` (batch, grams),
    `subwords` and `subword_mask` (batch, runs); where it compares two texts, `pair_word_mask` and
    its like besides.
    """

    config: Any
    compares: bool

    def forward(
        self, weights: Weights, arrays: Mapping[str, Array], dropout: Dropout
    ) -> tuple[Array, Back]:
        """Hidden states (batch, width)."""
        config, names = self.config, hidden_names(len(self.config.hidden))
        x, pooled_back = self._pooled(weights, arrays, dropout, "")
        if self.compares:
            names = ["compare", *names]
            x, pooled_back = self._compared(x, pooled_back, weights, arrays, dropout)
        hidden, layers_back = dense_layers(
            names, config.activation, config.dropout, weights, x, dropout
        )

        def back(gradient: Array) -> Gradients:
            gradient, gradients = layers_back(gradient)
            return gradients | pooled_back(gradient)

        return hidden, back

    def _compared(
        self,
        one: Array,
        one_back: Back,
        weights: Weights,
        arrays: Mapping[str, Array],
        dropout: Dropout,
    ) -> tuple[Array, Back]:
        """[u, v, |u - v|, u * v] of the first text's vector and the second's (Conneau 2017)."""
        other, other_back = self._pooled(weights, arrays, dropout, "pair_")
        apart = one - other

        def back(gradient: Array) -> Gradients:
            of_one, of_other, of_apart, of_product = np.split(gradient, 4, axis=1)
            of_apart = of_apart * np.sign(apart)
            first = one_back(of_one + of_apart + of_product * other)
            second = other_back(of_other - of_apart + of_product * one)
            return {name: _both(first[name], second[name]) for name in first}

        return np.concatenate((one, other, np.abs(apart), one * other), axis=1), back

    def _pooled(
        self, weights: Weights, arrays: Mapping[str, Array], dropout: Dropout, of: str
    ) -> tuple[Array, Back]:
        """The vector of one of a row's texts, (batch, width). of: what its masks begin with."""
        config = self.config
        tables = [("embedding", arrays["tokens"], arrays[f"{of}word_mask"])]
        if config.ngrams > 1:
            tables.append(("ngrams", arrays["ngrams"], arrays[f"{of}ngram_mask"]))
        together = [tables]
        if config.subwords is not None:
            together.append([("subwords", arrays["subwords"], arrays[f"{of}subword_mask"])])
        read = [[_look_up(*table, weights, config, dropout) for table in each] for each in together]
        sizes = [_size(each, config.pooling) for each in read]
        pooled = [
            sum(table.summed for table in each) / size
            for each, size in zip(read, sizes, strict=True)
        ]

        def back(gradient: Array) -> Gradients:
            return {
                table.name: table.back(gradient / size)
                for each, size in zip(read, sizes, strict=True)
                for table in each
            }

        return sum(pooled[1:], pooled[0]), back


def _both(first: Rows, second: Rows) -> Rows:
    return Rows(
        np.concatenate((first.index, second.index)), np.concatenate((first.values, second.values))
    )


@frozen
class _LookedUp:
    """What texts have of a table.

    name: the table's. rows: those that the texts name. present: where there is one, as the mask
    says; no other row learns. weight: what each counts, 0 for one that dropout leaves out.
    (batch, places) each. size: what all count, or their squares, before dropout, (batch,).
    summed: (batch, width).
    """

    name: str
    rows: Array
    present: Array
    weight: Array
    size: Array
    summed: Array

    def back(self, gradient: Array) -> Rows:
        """From the gradient of `summed` to that of the table."""
        text = np.nonzero(self.present)[0]
        values = self.weight[self.present][:, None] * gradient[text]
        return Rows(self.rows[self.present], values)


def _size(tables: list[_LookedUp], pooling: str) -> Array:
    """What the sum of tables that are pooled together is divided by, (batch, 1)."""
    size = sum((table.size for table in tables[1:]), tables[0].size)
    return np.maximum(np.sqrt(size) if pooling == "root" else size, 1e-6)[:, None]


def _look_up(
    name: str, rows: Array, mask: Array, weights: Weights, config: Any, dropout: Dropout
) -> _LookedUp:
    """Dropout leaves out words, not numbers, and what is left counts for more."""
    weight = mask * weights[f"{name}.idf"][rows] if config.weighting == "tfidf" else mask
    counted = weight**2 if config.pooling == "root" else weight
    dropped = weight * dropout(weight.shape, config.word_dropout)
    table = weights[f"{name}.weight"]
    return _LookedUp(
        name=f"{name}.weight",
        rows=rows,
        present=mask > 0,
        weight=dropped,
        size=counted.sum(axis=1),
        summed=(dropped[:, None] @ table[rows])[:, 0],
    )


@frozen
class WindowMlp:
    """Hidden layers on the embeddings of the last tokens (Bengio 2003).

    Reads `tokens` (batch, time) and `length` (batch,).
    """

    config: Any
    reads: str

    def forward(
        self, weights: Weights, arrays: Mapping[str, Array], dropout: Dropout
    ) -> tuple[Array, Back]:
        """Hidden states: (batch, time, width), or their mean where the head reads sequences."""
        tokens, window = arrays["tokens"], self.config.window
        batch, time = tokens.shape
        words = self._words(weights, tokens)
        windows = np.concatenate([words[:, at : at + time] for at in range(window)], axis=-1)
        flat, layers_back = self._layers(weights, windows.reshape(batch * time, -1), dropout)
        hidden = flat.reshape(batch, time, -1)
        share = np.ones((batch, time, 1), np.float32)
        if self.reads == "sequence":
            length = arrays["length"][:, None]
            inside = (np.arange(time) < length) / np.maximum(length, 1)
            share = inside.astype(np.float32)[..., None]

        def back(gradient: Array) -> Gradients:
            if self.reads == "sequence":
                gradient = gradient[:, None] * share
            gradient, gradients = layers_back(gradient.reshape(batch * time, -1))
            pieces = gradient.reshape(batch, time, window, -1)
            of_words = np.zeros_like(words)
            for at in range(window):
                of_words[:, at : at + time] += pieces[:, :, at]
            values = of_words[:, window - 1 :].reshape(batch * time, -1)
            return gradients | {"embedding.weight": Rows(tokens.ravel(), values)}

        return hidden if self.reads == "tokens" else (hidden * share).sum(axis=1), back

    def start(self, weights: Weights, arrays: Mapping[str, Array]) -> tuple[Array, Cache]:
        """The states (batch, width) behind each row's last token; `recent` are its windows' words.

        recent: (batch, window, width).
        """
        words = self._words(weights, arrays["tokens"])
        place = np.maximum(arrays["length"] - 1, 0)[:, None] + np.arange(self.config.window)
        recent = words[np.arange(len(place))[:, None], place]
        return self._state(weights, recent), {"recent": recent}

    def step(self, weights: Weights, cache: Cache, tokens: Array) -> Array:
        """Append a token (batch,) to each row, in the cache too; its state (batch, width)."""
        newest = weights["embedding.weight"][tokens][:, None]
        cache["recent"] = np.concatenate((cache["recent"][:, 1:], newest), axis=1)
        return self._state(weights, cache["recent"])

    def _state(self, weights: Weights, recent: Array) -> Array:
        return self._layers(weights, recent.reshape(len(recent), -1), no_dropout)[0]

    def _words(self, weights: Weights, tokens: Array) -> Array:
        """(batch, time) to (batch, window - 1 + time, width), zeros in front."""
        words = weights["embedding.weight"][tokens]
        return np.pad(words, ((0, 0), (self.config.window - 1, 0), (0, 0)))

    def _layers(
        self, weights: Weights, x: Array, dropout: Dropout
    ) -> tuple[Array, Callable[[Array], tuple[Array, Gradients]]]:
        config = self.config
        return dense_layers(
            hidden_names(len(config.widths)),
            config.activation,
            config.dropout,
            weights,
            x,
            dropout,
        )
