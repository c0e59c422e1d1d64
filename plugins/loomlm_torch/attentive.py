"""The `rnn` backbone as an encoder-decoder in PyTorch, from top to bottom.

Names are those of the layout in `loomlm_backbones/rnn.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from loomlm.plugin import ModelSpec
from loomlm_torch.drawing import dropout
from loomlm_torch.pooling import last
from loomlm_torch.rnn import Layer, locked_dropout, make_layers, through, words


class AttentiveRnn(nn.Module):
    """An encoder, and a decoder with attention to it (Bahdanau 2015). Built from a ModelSpec.

    Reads `source` and `source_length`, `tokens` and `length`.
    """

    capturable = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        width, embedding = config.width, config.word_width
        self.embedding = nn.Embedding(spec.vocab_size, embedding)
        own = spec.source_vocab_size
        self.source_embedding = None if own is None else nn.Embedding(own, embedding)
        self.encoder = Encoder(config)
        self.parts = 1 if config.cell == "gru" else 2
        self.bridge = nn.Linear(2 * width, self.parts * config.layers * width)
        self.attention = Attention(width, additive=config.attention == "bahdanau")
        first = AttentiveLayer(config.cell, embedding, width, config.weight_dropout)
        further = [
            Layer(config.cell, width, width, config.weight_dropout)
            for _ in range(config.layers - 1)
        ]
        self.layers = nn.ModuleList([first, *further])
        self.readout = nn.Linear(3 * width + embedding, embedding)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What stands behind each token of the target, (batch, time, embedding)."""
        source, states = self._read(batch)
        tokens = self._words(self.embedding, batch["tokens"])
        x, contexts, _ = self.layers[0](tokens, source, self.attention, states[0])
        for layer, begin in zip(self.layers[1:], states[1:], strict=True):
            x, _ = layer(locked_dropout(x, self._share("layer")), begin)
        return locked_dropout(self._written(x, contexts, tokens), self._share("output"))

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What stands behind each row's last token, (batch, embedding), and the rows' cache.

        memory, keys and hidden: see Source. states and, of an LSTM, cells: (batch, layers, width).
        """
        source, begin = self._read(batch)
        by_name = zip(("states", "cells"), zip(*begin, strict=True), strict=False)
        cache = {name: torch.stack(each, dim=1) for name, each in by_name}
        cache |= {"memory": source.memory, "keys": source.keys, "hidden": source.hidden}
        length = batch["length"].clamp(min=1)
        found = self._append(cache, batch["tokens"][:, 0])
        for place in range(1, batch["tokens"].shape[1]):
            inside = (place < length)[:, None]
            before = {name: cache[name].clone() for name in self._names}
            new = self._append(cache, batch["tokens"][:, place])
            found = torch.where(inside, new, found)
            for name, kept in before.items():
                cache[name] = torch.where(inside[..., None], cache[name], kept)
        return found, cache

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """Append a token (batch,) to each row, in the cache too; its state (batch, embedding)."""
        return self._append(cache, tokens)

    @property
    def _names(self) -> tuple[str, ...]:
        return ("states", "cells")[: self.parts]

    def _append(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        given = self._words(self.embedding, tokens[:, None])
        source = Source(cache["memory"], cache["keys"], cache["hidden"])
        x, contexts = given, given
        for index, layer in enumerate(self.layers):
            before = [cache[name][:, index] for name in self._names]
            if index == 0:
                x, contexts, new = layer(x, source, self.attention, before)
            else:
                x, new = layer(x, before)
            for name, state in zip(self._names, new, strict=True):
                cache[name][:, index] = state
        return self._written(x, contexts, given)[:, 0]

    def _read(self, batch: Mapping[str, Tensor]) -> tuple[Source, list[list[Tensor]]]:
        """The source, and what each layer of the decoder begins with: h and, of an LSTM, c."""
        # An empty source is read as its first place: attention to nothing is not a number.
        length = batch["source_length"].clamp(min=1)
        table = self.embedding if self.source_embedding is None else self.source_embedding
        memory = self.encoder(self._words(table, batch["source"]), length)
        ahead, back = memory.chunk(2, dim=-1)
        ends = torch.cat((last(ahead, length), back[:, 0]), dim=-1)
        begin = self.bridge(ends).float().tanh()
        shape = (len(begin), self.parts, self.config.layers, self.config.width)
        states = [list(each.unbind(1)) for each in begin.view(shape).unbind(2)]
        memory = locked_dropout(memory, self._share("layer"))
        places = torch.arange(memory.shape[1], device=memory.device)
        return Source(memory, self.attention.key(memory), places >= length[:, None]), states

    def _words(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        share = self.config.embedding_dropout if self.training else 0.0
        return locked_dropout(words(table, tokens, share), self._share("input"))

    def _written(self, x: Tensor, contexts: Tensor, tokens: Tensor) -> Tensor:
        return self.readout(torch.cat((x, contexts, tokens), dim=-1)).tanh()

    def _share(self, of: str) -> float:
        return self.config.share(of) if self.training else 0.0


class Encoder(nn.Module):
    """Recurrent layers that read a row from both ends."""

    def __init__(self, config) -> None:
        super().__init__()
        self.config = config
        self.layers, self.reverse_layers = (
            make_layers(config, config.sources, both=True) for _ in range(2)
        )

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """(batch, source, embedding) to (batch, source, 2 * width), from each end."""
        share = self.config.share("layer") if self.training else 0.0
        return through(x, length, self.layers, self.reverse_layers, share)


@frozen
class Source:
    """What is attended to.

    memory: the encoder's states, (batch, source, 2 * width). keys: what they are scored by, (batch,
    source, width). hidden: true (batch, source) behind a source's end.
    """

    memory: Tensor
    keys: Tensor
    hidden: Tensor


class Attention(nn.Module):
    """Which places of a source a state attends to."""

    def __init__(self, width: int, additive: bool) -> None:
        super().__init__()
        # The product with a bias would be the same at every place: the softmax takes it away.
        self.key = nn.Linear(2 * width, width, bias=additive)
        self.query = nn.Linear(width, width, bias=False) if additive else None
        self.score = nn.Parameter(torch.empty(width)) if additive else None

    def forward(self, state: Tensor, source: Source) -> Tensor:
        """(batch, width) to the source's mean, (batch, 2 * width)."""
        if self.query is None:
            scores = (source.keys @ state.to(source.keys.dtype)[..., None])[..., 0]
        else:
            scores = (source.keys + self.query(state)[:, None]).tanh() @ self.score
        shares = scores.float().masked_fill(source.hidden, -torch.inf).softmax(dim=-1)
        return (shares.to(source.memory.dtype)[:, None] @ source.memory)[:, 0]


class AttentiveLayer(nn.Module):
    """LSTM or GRU cells, each of which reads a token, and what the state before it attends to."""

    # The compiler would write out each token of a row, which takes it minutes.
    uncompiled = True

    def __init__(self, cell: str, narrow: int, width: int, weight_dropout: float) -> None:
        super().__init__()
        self.cell, self.weight_dropout = gru_cell if cell == "gru" else lstm_cell, weight_dropout
        rows = (3 if cell == "gru" else 4) * width
        self.input = nn.Linear(narrow, rows)
        self.context = nn.Linear(2 * width, rows, bias=False)
        self.recurrent = nn.Linear(width, rows, bias=cell == "gru")

    def forward(
        self, x: Tensor, source: Source, attention: Attention, states: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Sequence[Tensor]]:
        """Outputs (batch, time, width), contexts (batch, time, 2 * width), the states behind them.

        x: (batch, time, in). states: what to begin with, h and, of an LSTM, c, (batch, width) each.
        """
        matrix = dropout(self.recurrent.weight, self.weight_dropout, self.training)
        outputs, contexts = [], []
        for given in self.input(x).unbind(1):
            context = attention(states[0], source)
            before = F.linear(states[0], matrix, self.recurrent.bias)
            states = self.cell((given + self.context(context)).float(), before.float(), states)
            outputs.append(states[0])
            contexts.append(context)
        return torch.stack(outputs, dim=1), torch.stack(contexts, dim=1), states


def lstm_cell(given: Tensor, before: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Hochreiter 1997, with forget gates; gates in the order input, forget, cell, output."""
    enter, forget, new, leave = (given + before).chunk(4, dim=-1)
    cells = forget.sigmoid() * states[1] + enter.sigmoid() * new.tanh()
    return [leave.sigmoid() * cells.tanh(), cells]


def gru_cell(given: Tensor, before: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Cho 2014, reset behind the matrix; gates in the order reset, update, new."""
    (reset, update, new), (b_reset, b_update, b_new) = (
        gates.chunk(3, dim=-1) for gates in (given, before)
    )
    new = (new + (reset + b_reset).sigmoid() * b_new).tanh()
    return [new + (update + b_update).sigmoid() * (states[0] - new)]
