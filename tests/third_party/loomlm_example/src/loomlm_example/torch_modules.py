"""The `gated_mean` backbone in PyTorch. The only file here that imports torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import ModelSpec


class GatedMean(nn.Module):
    """Built from a ModelSpec; reads `tokens` and `share`, (batch, time) each.

    The weights are put in by the core, so what torch fills them with first does not matter. The
    names below are those of the layout: `embedding.weight`, `gate.weight`, `gate.bias`.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = spec.config
        self.embedding = nn.Embedding(spec.vocab_size, spec.config.width)
        self.gate = nn.Linear(spec.config.width, spec.config.width)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (batch, width)."""
        words = self.embedding(batch["tokens"])  # (batch, time, width)
        words = words * torch.sigmoid(self.gate(words))
        mean = (words * batch["share"][..., None]).sum(dim=1)
        return F.dropout(mean, self.config.dropout, self.training)
