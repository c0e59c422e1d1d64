"""The `rnn` backbone in PyTorch, from top to bottom.

Names are those of the layout in `loomlm_backbones/rnn.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from loomlm.plugin import ModelSpec
from loomlm_torch.drawing import dropout
from loomlm_torch.pooling import last, pool

# cuDNN wants the weights of a layer in one piece, and copies them there. With weight dropout they
# are new at each step, so there is nothing to mend.
warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous")


def build(spec: ModelSpec) -> nn.Module:
    """The module of a config: with a source or without."""
    if not spec.config.encoder_decoder:
        return Rnn(spec)
    from loomlm_torch.attentive import AttentiveRnn

    return AttentiveRnn(spec)


class Rnn(nn.Module):
    """Embeddings and recurrent layers. Built from a ModelSpec; reads `tokens` and `length`."""

    capturable = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        self.reads = spec.head.reads
        self.embedding = nn.Embedding(spec.vocab_size, config.word_width)
        both = config.bidirectional
        self.layers = make_layers(config, config.layers, both)
        self.reverse_layers = make_layers(config, config.layers, both) if both else None

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences.

        With bidirectional, their first half has read a row from its start to the token, and the
        second half from its end.
        """
        length = batch["length"]
        x = locked_dropout(self._words(batch["tokens"]), self._share("input"))
        x = through(x, length, self.layers, self.reverse_layers, self._share("layer"))
        x = locked_dropout(x, self._share("output"))
        return x if self.reads == "tokens" else self._pool(x, length)

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token, and the rows' cache.

        states and, of an LSTM, cells: (batch, layers, width).
        """
        length = batch["length"].clamp(min=1).long().cpu()
        # Packed, each row stops at its own end.
        packed = pack_padded_sequence(
            self._words(batch["tokens"]), length, batch_first=True, enforce_sorted=False
        )
        x, found = packed.data, []
        for layer in self.layers:
            x, states = layer(x, sizes=packed.batch_sizes)
            found.append(states)
        by_name = zip(("states", "cells"), zip(*found, strict=True), strict=False)
        cache = {name: torch.stack(each, dim=1)[packed.unsorted_indices] for name, each in by_name}
        return cache["states"][:, -1].clone(), cache

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """Append a token (batch,) to each row, in the cache too; its state (batch, width)."""
        x = self._words(tokens[:, None])
        for index, layer in enumerate(self.layers):
            x, states = layer(x, [kept[:, index] for kept in cache.values()])
            for kept, new in zip(cache.values(), states, strict=True):
                kept[:, index] = new
        return x[:, 0]

    def _words(self, tokens: Tensor) -> Tensor:
        share = self.config.embedding_dropout if self.training else 0.0
        return words(self.embedding, tokens, share)

    def _share(self, of: str) -> float:
        return self.config.share(of) if self.training else 0.0

    def _pool(self, hidden: Tensor, length: Tensor) -> Tensor:
        """(batch, width); the last state of the reverse layers is where a row begins."""
        if self.config.pooling != "last" or self.reverse_layers is None:
            return pool(hidden, length, self.config.pooling)
        ahead, back = hidden.chunk(2, dim=-1)
        return torch.cat((last(ahead, length), back[:, 0]), dim=-1)


class Layer(nn.Module):
    """LSTM or GRU cells, one after another, in the framework's fused kernel."""

    # The compiler would write the kernel out for each token of a row, which takes it minutes.
    uncompiled = True

    def __init__(self, cell: str, narrow: int, width: int, weight_dropout: float) -> None:
        super().__init__()
        self.cell, self.width, self.weight_dropout = cell, width, weight_dropout
        rows = (3 if cell == "gru" else 4) * width
        self.input = nn.Linear(narrow, rows)
        self.recurrent = nn.Linear(width, rows, bias=cell == "gru")

    def forward(
        self, x: Tensor, states: Sequence[Tensor] | None = None, sizes: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Outputs, and the states behind them: h and, of an LSTM, c, (batch, width) each.

        x: (batch, time, in), or, with sizes, a PackedSequence's data (tokens, in) and batch sizes.
        The outputs have the same form. states: what to begin with; zeros by default.
        """
        rows = len(x) if sizes is None else int(sizes[0])
        if states is None:
            states = [x.new_zeros(rows, self.width)] * (1 if self.cell == "gru" else 2)
        begin = [state[None].contiguous() for state in states]
        recurrent = dropout(self.recurrent.weight, self.weight_dropout, self.training)
        bias = self.recurrent.bias
        if bias is None:
            bias = torch.zeros_like(self.input.bias)
        weights = [self.input.weight, recurrent, self.input.bias, bias]
        dtype = kernel_dtype(x.device.type)
        if dtype is None:
            return self._run(x, begin, weights, sizes)
        begin, weights = ([tensor.to(dtype) for tensor in each] for each in (begin, weights))
        with torch.autocast(x.device.type, enabled=False):
            return self._run(x.to(dtype), begin, weights, sizes)

    def _run(
        self, x: Tensor, begin: list[Tensor], weights: list[Tensor], sizes: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        kernel = torch.gru if self.cell == "gru" else torch.lstm
        # With biases, one layer, no dropout of its own, training or not, one direction.
        form = (weights, True, 1, 0.0, self.training, False)
        first: Any = begin[0] if self.cell == "gru" else begin
        if sizes is None:
            x, *states = kernel(x, first, *form, batch_first=True)
        else:
            x, *states = kernel(x, sizes, first, *form)
        return x, [state[0] for state in states]


def kernel_dtype(device: str) -> torch.dtype | None:
    """What the kernel must compute in where autocast would have another; else None."""
    if not torch.is_autocast_enabled(device):
        return None
    wanted = torch.get_autocast_dtype(device)
    if device == "cuda":
        # Autocast would take float16, whatever was asked for.
        return wanted
    # On CPUs there is no kernel in float16.
    return torch.float32 if device == "cpu" and wanted == torch.float16 else None


def make_layers(config, count: int, both: bool) -> nn.ModuleList:
    """The layers of one direction; both: each reads what two directions give."""
    width = config.width * (2 if both else 1)
    widths = [config.word_width] + [width] * (count - 1)
    return nn.ModuleList(
        Layer(config.cell, narrow, config.width, config.weight_dropout) for narrow in widths
    )


def through(
    x: Tensor,
    length: Tensor,
    layers: nn.ModuleList,
    reverse_layers: nn.ModuleList | None,
    share: float,
) -> Tensor:
    """(batch, time, in) to the last layer's states, (batch, time, width), those of both directions.

    share: of the states between layers that is left out.
    """
    for index, layer in enumerate(layers):
        if index > 0:
            x = locked_dropout(x, share)
        ahead, _ = layer(x)
        if reverse_layers is not None:
            back, _ = reverse_layers[index](reverse(x, length))
            ahead = torch.cat((ahead, reverse(back, length)), dim=-1)
        x = ahead
    return x


def words(table: nn.Embedding, tokens: Tensor, share: float) -> Tensor:
    """(batch, time) to (batch, time, embedding); share: of the vocabulary that is left out."""
    found = table(tokens)
    if not share:
        return found
    kept = dropout(found.new_ones(table.num_embeddings, 1), share)
    return found * F.embedding(tokens, kept)


def reverse(x: Tensor, length: Tensor) -> Tensor:
    """Each row of (batch, time, width) from its end to its start; what stands behind it stays."""
    place = torch.arange(x.shape[1], device=x.device)
    end = length[:, None].long()
    order = torch.where(place < end, end - 1 - place, place)
    return x.gather(1, order[..., None].expand_as(x))


def locked_dropout(x: Tensor, share: float) -> Tensor:
    """Leave out the same numbers at every place of a row of (batch, time, width) (Gal 2016)."""
    if share == 0:
        return x
    return x * dropout(x.new_ones(x.shape[0], 1, x.shape[2]), share)
