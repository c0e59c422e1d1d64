"""An LSTM in PyTorch: an embedding, `torch.nn.LSTM`, and a head that shares the embedding."""

from __future__ import annotations

import torch.nn.functional as F
from sizes import Size
from torch import Tensor, nn


class Lstm(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.layers = nn.LSTM(size.width, size.width, size.layers, batch_first=True)

    def forward(self, tokens: Tensor, label: Tensor) -> Tensor:
        states, _ = self.layers(self.tokens(tokens))
        logits = F.linear(states, self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), label.flatten())
