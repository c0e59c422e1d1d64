"""The small model in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.contracts import ModelSpec

from .small import TALL, WIDTH, WORDS


class Small(nn.Module):
    """See `small_spec`."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = spec.config
        self.table = nn.Embedding(WORDS, WIDTH, sparse=spec.config.sparse)
        self.fixed = nn.Linear(WIDTH, WIDTH, bias=False)
        self.slow = nn.Linear(WIDTH, WIDTH, bias=False)
        self.tall = nn.ModuleList(nn.Linear(WIDTH, TALL, bias=False) for _ in range(2))
        self.flat = nn.ModuleList(nn.Linear(TALL, WIDTH, bias=False) for _ in range(2))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(batch, time) tokens to (batch, width)."""
        mean = self.table(batch["tokens"]).mean(dim=1)
        mean = F.dropout(mean, self.config.dropout, self.training)
        hidden = self.slow(self.fixed(mean).tanh())
        for tall, flat in zip(self.tall, self.flat, strict=True):
            hidden = hidden + flat(tall(hidden).tanh())
        return hidden
