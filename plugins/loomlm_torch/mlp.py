"""The `mlp` backbone in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import ModelSpec
from loomlm_torch.drawing import dropout
from loomlm_torch.pooling import pool

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh}


def build(spec: ModelSpec) -> nn.Module:
    """The module that the config means."""
    return Mlp(spec) if spec.config.window is None else WindowMlp(spec)


class Mlp(nn.Module):
    """Pooled rows, hidden layers. Built from a ModelSpec.

    Reads `tokens` and `word_mask` (batch, time), `ngrams` and `ngram_mask` (batch, grams),
    `subwords` and `subword_mask` (batch, runs); of rows with two texts `pair_word_mask` and its
    like besides.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        idf = config.weighting == "tfidf"
        self.embedding = Table(spec.vocab_size, config.width, idf)
        self.ngrams = Table(config.buckets, config.width, idf) if config.ngrams > 1 else None
        self.subwords = Table(config.buckets, config.width, idf) if config.subwords else None
        self.compare = None
        if any(field.name == "pair_word_mask" for field in spec.batch.fields):
            self.compare = nn.Linear(4 * config.width, config.width)
        widths = (config.width, *config.hidden)
        self.hidden = nn.ModuleList(nn.Linear(narrow, wide) for narrow, wide in pairwise(widths))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (batch, width)."""
        x, layers = self._pooled(batch, ""), [*self.hidden]
        if self.compare is not None:
            other = self._pooled(batch, "pair_")
            x = torch.cat((x, other, (x - other).abs(), x * other), dim=1)
            layers = [self.compare, *layers]
        x = dropout(x, self.config.dropout, self.training)
        for layer in layers:
            x = ACTIVATIONS[self.config.activation](layer(x))
            x = dropout(x, self.config.dropout, self.training)
        return x

    def _pooled(self, batch: Mapping[str, Tensor], of: str) -> Tensor:
        """The vector of one of a row's texts, (batch, width). of: what its masks begin with."""
        root = self.config.pooling == "root"
        drop = self.config.word_dropout
        pooled, size = self.embedding(batch["tokens"], batch[f"{of}word_mask"], root, drop)
        if self.ngrams is not None:
            more, more_size = self.ngrams(batch["ngrams"], batch[f"{of}ngram_mask"], root, drop)
            pooled, size = pooled + more, size + more_size
        pooled = scaled(pooled, size, root)
        if self.subwords is None:
            return pooled
        mask = batch[f"{of}subword_mask"]
        more, more_size = self.subwords(batch["subwords"], mask, root, drop)
        return pooled + scaled(more, more_size, root)


def scaled(summed: Tensor, size: Tensor, root: bool) -> Tensor:
    """A sum of rows (batch, width) by the sum of their weights, or the root of their squares'."""
    size = size.sqrt() if root else size
    return summed / size.clamp(min=1e-6)[:, None]


class Table(nn.Module):
    """Rows and, with idf, what each counts."""

    def __init__(self, rows: int, width: int, idf: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))
        self.idf = nn.Parameter(torch.empty(rows)) if idf else None

    def forward(
        self, rows: Tensor, mask: Tensor, root: bool, share: float
    ) -> tuple[Tensor, Tensor]:
        """Weighted sum of rows (batch, width), and the sum of weights or of their squares (batch,).

        What the mask leaves out is not looked up, so its rows do not learn either. Dropout leaves
        out words, not numbers, and what is left counts for more.
        """
        present = mask > 0
        counts = present.sum(dim=1)
        # How many there are, the host must wait for on a GPU; so they are looked for once.
        place = present.flatten().nonzero()[:, 0]
        named, weight = rows.flatten()[place], mask.flatten()[place]
        if self.idf is not None:
            weight = weight * F.embedding(named, self.idf[:, None])[:, 0]
        squares = weight.square() if root else weight
        size = torch.zeros_like(mask).flatten()
        size[place] = squares
        summed = F.embedding_bag(
            named,
            self.weight,
            counts.cumsum(0) - counts,
            mode="sum",
            sparse=self.training and self.weight.requires_grad,
            per_sample_weights=dropout(weight, share, self.training),
        )
        return summed, size.view_as(mask).sum(dim=1)


class WindowMlp(nn.Module):
    """Hidden layers on the embeddings of the last tokens (Bengio 2003). Built from a ModelSpec.

    Reads `tokens` (batch, time) and `length` (batch,).
    """

    capturable = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        self.reads = spec.head.reads
        self.embedding = nn.Embedding(spec.vocab_size, config.width)
        widths = (config.width * config.window, *config.widths)
        self.hidden = nn.ModuleList(nn.Linear(narrow, wide) for narrow, wide in pairwise(widths))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences."""
        time = batch["tokens"].shape[1]
        words = self._words(batch["tokens"])
        windows = [words[:, shift : shift + time] for shift in range(self.config.window)]
        hidden = self._layers(torch.cat(windows, dim=-1))
        return hidden if self.reads == "tokens" else pool(hidden, batch["length"], "mean")

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token; `recent` are its windows' words.

        recent: (batch, window, width).
        """
        window = torch.arange(self.config.window, device=batch["tokens"].device)
        place = (batch["length"] - 1).clamp(min=0)[:, None] + window
        rows = torch.arange(len(place), device=place.device)[:, None]
        recent = self._words(batch["tokens"])[rows, place]
        return self._layers(recent.flatten(1)), {"recent": recent}

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """Append a token (batch,) to each row, in the cache too; its state (batch, width)."""
        recent = cache["recent"]
        recent.copy_(torch.cat((recent[:, 1:], self.embedding(tokens)[:, None]), dim=1))
        return self._layers(recent.flatten(1))

    def _words(self, tokens: Tensor) -> Tensor:
        """(batch, time) to (batch, window - 1 + time, width), zeros in front."""
        return F.pad(self.embedding(tokens), (0, 0, self.config.window - 1, 0))

    def _layers(self, x: Tensor) -> Tensor:
        """(..., window * width) to (..., width)."""
        x = dropout(x, self.config.dropout, self.training)
        for layer in self.hidden:
            x = ACTIVATIONS[self.config.activation](layer(x))
            x = dropout(x, self.config.dropout, self.training)
        return x
