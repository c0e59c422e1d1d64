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
    """Weighted sum of rows, hidden layers. Built from a ModelSpec.

    Reads `tokens` and `word_weight` (batch, time), `ngrams` and `ngram_weight` (batch, grams).
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        self.embedding = nn.Embedding(spec.vocab_size, config.width)
        self.ngrams = nn.Embedding(config.buckets, config.width) if config.ngrams > 1 else None
        widths = (config.width, *config.hidden)
        self.hidden = nn.ModuleList(nn.Linear(narrow, wide) for narrow, wide in pairwise(widths))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (batch, width)."""
        pooled = self.pool(batch["tokens"], batch["word_weight"], self.embedding.weight)
        if self.ngrams is not None:
            weight = self.ngrams.weight
            pooled = pooled + self.pool(batch["ngrams"], batch["ngram_weight"], weight)
        pooled = F.dropout(pooled, self.config.dropout, self.training)
        for layer in self.hidden:
            pooled = ACTIVATIONS[self.config.activation](layer(pooled))
            pooled = F.dropout(pooled, self.config.dropout, self.training)
        return pooled

    def pool(self, rows: Tensor, weight: Tensor, table: Tensor) -> Tensor:
        """Sum of weight times row, (batch, width); what weighs nothing is not even looked up."""
        weight = F.dropout(weight, self.config.word_dropout, self.training)
        present = weight > 0
        counts = present.sum(dim=1)
        offsets = counts.cumsum(0) - counts
        return F.embedding_bag(
            rows[present],
            table,
            offsets,
            mode="sum",
            sparse=self.training and table.requires_grad,
            per_sample_weights=weight[present],
        )
