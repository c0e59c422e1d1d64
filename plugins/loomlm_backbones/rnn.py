"""The `rnn` backbone: its layout."""

from __future__ import annotations

from math import sqrt

import numpy as np
from attrs import frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    Parameter,
    Uniform,
)
from loomlm_backbones.config import RnnConfig

EMBEDDING = Uniform(0.1)
"""As in AWD-LSTM (Merity 2017)."""


@frozen
class Rnn:
    """Recurrent layers: reads `tokens` (batch, time) and `length` (batch,) as tasks give them.

    Parameters, with w for width: `embedding.weight` (vocab_size, embedding). In each layer,
    `layers.I.`, and with bidirectional in each of `reverse_layers.I.`, which read a row from its
    end: `input.weight` (gates w, in), `input.bias` (gates w,), `recurrent.weight` (gates w, w).
    `in` is the embedding's width, then w, or 2 w where both directions are read.

    LSTM: four gates, in the order input, forget, cell, output. The forget gate's bias starts at 1,
    so that a cell remembers before it has learnt to (Gers 2000).
    GRU: three, in the order reset, update, new; `recurrent.bias` (3 w,) besides, since reset is
    applied behind the matrix: new = tanh(input + reset * (recurrent + its bias)), as cuDNN has it.

    With encoder_decoder it reads `source` (batch, source) and `source_length` (batch,) besides.
    Each token that is written comes from three steps, those of Bahdanau 2015:

    1. The first layer's state behind the token before, s, scores each place of the source by
       `attention.score` . tanh(`attention.query` s + `attention.key` h), h being what the encoder
       says of it; with attention = "dot", by s . `attention.key` h. The softmax over the places,
       none behind the source's end, gives the context: the mean of the h.
    2. The first layer reads the token and the context, `layers.0.context.weight` (gates w, 2 w),
       and the further ones what it gives.
    3. tanh(`readout` [last layer's state, context, token's embedding]) is what the head reads. It
       is as wide as an embedding, so that the head can share it whatever the states' width.

    So the attention is that of the paper, step by step, and not one on states that were made
    without it (Luong 2015), though those go through a fused kernel: in front of a head over a
    vocabulary the steps cost little (see `docs/design.md`).

    `encoder.layers.I.` and `encoder.reverse_layers.I.` are as above. What they have read of a whole
    source, from each end, starts the decoder: tanh(`bridge` of both) holds the states of its layers
    and, of LSTMs, then the cells. `source_embedding.weight` is there where the source has a
    vocabulary of its own.
    """

    config: RnnConfig

    longest = None
    free = frozenset({"pooling", "tied"})
    threads = None

    @property
    def capabilities(self) -> frozenset[str]:
        if self.config.encoder_decoder:
            return frozenset({"tokens", "encoder_decoder"})
        order = "bidirectional" if self.config.bidirectional else "causal"
        return frozenset({"sequence", "tokens", order})

    @property
    def width(self) -> int:
        if self.config.encoder_decoder:
            return self.config.word_width
        return self.config.width * (2 if self.config.bidirectional else 1)

    @property
    def tied(self) -> str | None:
        fits = self.config.tied and not self.config.bidirectional
        return "embedding.weight" if fits else None

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        config = self.config
        layout = [self._table("embedding.weight", context.vocab_size)]
        if not config.encoder_decoder:
            both = config.bidirectional
            return (*layout, *(p for stack in _stacks("", both) for p in self._stack(stack, both)))
        if context.source_vocab_size is not None:
            layout.append(self._table("source_embedding.weight", context.source_vocab_size))
        for stack in _stacks("encoder.", both=True):
            layout += self._stack(stack, both=True, layers=config.sources)
        return (*layout, *self._stack("layers", both=False), *self._between())

    def _table(self, name: str, rows: int) -> Parameter:
        shape = (rows, self.config.word_width)
        return Parameter(name=name, shape=shape, init=EMBEDDING, role="embedding", decay=True)

    def _stack(self, name: str, both: bool, layers: int | None = None) -> list[Parameter]:
        """Layers, each of which reads what the one before gives; both: in both directions."""
        layout, narrow = [], self.config.word_width
        for index in range(layers or self.config.layers):
            layout += self._layer(f"{name}.{index}", narrow)
            narrow = self.config.width * (2 if both else 1)
        return layout

    def _between(self) -> list[Parameter]:
        """What stands between an encoder and a decoder."""
        config = self.config
        width, words = config.width, config.word_width
        gates = (3 if config.cell == "gru" else 4) * width
        starts = config.layers * width * (1 if config.cell == "gru" else 2)
        layout = [
            self._matrix("layers.0.context.weight", gates, 2 * width),
            self._matrix("bridge.weight", starts, 2 * width),
            _bias("bridge.bias", starts),
            self._matrix("attention.key.weight", width, 2 * width),
        ]
        if config.attention == "bahdanau":
            bound = Uniform(1 / sqrt(width))
            layout += [
                _bias("attention.key.bias", width),
                self._matrix("attention.query.weight", width, width),
                Parameter(
                    name="attention.score", shape=(width,), init=bound, role="vector", decay=False
                ),
            ]
        return [
            *layout,
            self._matrix("readout.weight", words, 3 * width + words),
            _bias("readout.bias", words),
        ]

    def _layer(self, name: str, narrow: int) -> list[Parameter]:
        width, gru = self.config.width, self.config.cell == "gru"
        rows = (3 if gru else 4) * width
        layout = [
            self._matrix(f"{name}.input.weight", rows, narrow),
            _bias(f"{name}.input.bias", rows),
            self._matrix(f"{name}.recurrent.weight", rows, width),
        ]
        return [*layout, _bias(f"{name}.recurrent.bias", rows)] if gru else layout

    def _matrix(self, name: str, rows: int, columns: int) -> Parameter:
        bound = Uniform(1 / sqrt(self.config.width))
        return Parameter(name=name, shape=(rows, columns), init=bound, role="matrix", decay=True)

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        return spec

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def fit(self, context: FitContext) -> Fitted:
        """The bias of an LSTM's forget gates; nothing is learnt from the texts."""
        if self.config.cell == "gru":
            return Fitted()
        width = self.config.width
        forget = (np.arange(width, 2 * width), np.ones(width, np.float32))
        stacks = dict.fromkeys(_stacks("", self.config.bidirectional), self.config.layers)
        if self.config.encoder_decoder:
            stacks |= dict.fromkeys(_stacks("encoder.", both=True), self.config.sources)
        names = [
            f"{stack}.{i}.input.bias" for stack, layers in stacks.items() for i in range(layers)
        ]
        return Fitted(rows=dict.fromkeys(names, forget))


def _stacks(owner: str, both: bool) -> tuple[str, ...]:
    """The names of the layers of each direction."""
    return (f"{owner}layers", f"{owner}reverse_layers") if both else (f"{owner}layers",)


def _bias(name: str, size: int) -> Parameter:
    return Parameter(name=name, shape=(size,), init=Constant(0.0), role="vector", decay=False)
