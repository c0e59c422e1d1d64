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
    """

    config: RnnConfig

    longest = None
    free = frozenset({"pooling", "tied"})
    threads = None

    @property
    def capabilities(self) -> frozenset[str]:
        order = "bidirectional" if self.config.bidirectional else "causal"
        return frozenset({"sequence", "tokens", order})

    @property
    def width(self) -> int:
        return self.config.width * (2 if self.config.bidirectional else 1)

    @property
    def tied(self) -> str | None:
        fits = self.config.tied and not self.config.bidirectional
        return "embedding.weight" if fits else None

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        config = self.config
        layout = [
            Parameter(
                name="embedding.weight",
                shape=(context.vocab_size, config.word_width),
                init=EMBEDDING,
                role="embedding",
                decay=True,
            )
        ]
        for stack in self._stacks():
            narrow = config.word_width
            for index in range(config.layers):
                layout += self._layer(f"{stack}.{index}", narrow)
                narrow = self.width
        return tuple(layout)

    def _stacks(self) -> tuple[str, ...]:
        return ("layers", "reverse_layers") if self.config.bidirectional else ("layers",)

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
        layers = range(self.config.layers)
        names = [f"{stack}.{i}.input.bias" for stack in self._stacks() for i in layers]
        return Fitted(rows=dict.fromkeys(names, forget))


def _bias(name: str, size: int) -> Parameter:
    return Parameter(name=name, shape=(size,), init=Constant(0.0), role="vector", decay=False)
