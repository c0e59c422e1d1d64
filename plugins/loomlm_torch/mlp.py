"""The `mlp` backbone in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import ModelSpec

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh}


class Mlp(nn.Module):
    """Pooled rows, hidden layers. Built from a ModelSpec.

    Reads `tokens` and `word_mask` (batch, time), `ngrams` and `ngram_mask` (batch, grams).
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        self.embedding = Table(spec.vocab_size, config.width, config.weighting == "tfidf")
        self.ngrams = None
        if config.ngrams > 1:
            self.ngrams = Table(config.buckets, config.width, config.weighting == "tfidf")
        widths = (config.width, *config.hidden)
        self.hidden = nn.ModuleList(nn.Linear(narrow, wide) for narrow, wide in pairwise(widths))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (batch, width)."""
        root = self.config.pooling == "root"
        drop = self.config.word_dropout
        pooled, size = self.embedding(batch["tokens"], batch["word_mask"], root, drop)
        if self.ngrams is not None:
            more, more_size = self.ngrams(batch["ngrams"], batch["ngram_mask"], root, drop)
            pooled, size = pooled + more, size + more_size
        size = size.sqrt() if root else size
        pooled = pooled / size.clamp(min=1e-6)[:, None]
        pooled = F.dropout(pooled, self.config.dropout, self.training)
        for layer in self.hidden:
            pooled = ACTIVATIONS[self.config.activation](layer(pooled))
            pooled = F.dropout(pooled, self.config.dropout, self.training)
        return pooled


class Table(nn.Module):
    """Rows and, with idf, what each counts."""

    def __init__(self, rows: int, width: int, idf: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))
        self.idf = nn.Parameter(torch.empty(rows)) if idf else None

    def forward(
        self, rows: Tensor, mask: Tensor, root: bool, dropout: float
    ) -> tuple[Tensor, Tensor]:
        """Weighted sum of rows (batch, width), and the sum of weights or of their squares (batch,).

        What the mask leaves out is not looked up, so its rows do not learn either. Dropout leaves
        out words, not numbers, and what is left counts for more.
        """
        present = mask > 0
        counts = present.sum(dim=1)
        named = rows[present]
        weight = mask[present]
        if self.idf is not None:
            weight = weight * F.embedding(named, self.idf[:, None])[:, 0]
        squares = weight.square() if root else weight
        size = torch.zeros_like(mask)
        size[present] = squares
        summed = F.embedding_bag(
            named,
            self.weight,
            counts.cumsum(0) - counts,
            mode="sum",
            sparse=self.training and self.weight.requires_grad,
            per_sample_weights=F.dropout(weight, dropout, self.training),
        )
        return summed, size.sum(dim=1)
