"""The backbone in PyTorch. The only file here that imports torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from loomlm.plugin import ModelSpec
from torch import Tensor, nn


class Phrases(nn.Module):
    """Built from a ModelSpec; reads `tokens` and `inside`, (batch, time) each.

    Attributes are called as in the layout: `embedding.weight`, `detectors.weight` and
    `detectors.bias`. Loomlm puts the weights in, so what torch begins with is lost.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config = spec.config
        self.embedding = nn.Embedding(spec.vocab_size, config.width)
        self.detectors = nn.Linear(config.words * config.width, config.phrases)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (batch, phrases)."""
        inside = batch["inside"][..., None]
        words, time = self.config.words, inside.shape[1]
        x = self.embedding(batch["tokens"]) * inside  # (batch, time, width)
        x = F.dropout(x, self.config.dropout, self.training)
        x = F.pad(x, (0, 0, 0, words - 1))
        x = torch.cat([x[:, shift : shift + time] for shift in range(words)], dim=-1)
        found = F.relu(self.detectors(x)) * inside  # (batch, time, phrases)
        return F.dropout(found.amax(dim=1), self.config.dropout, self.training)
