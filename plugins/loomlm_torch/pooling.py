"""One state for a text, from those of its tokens; what stands behind a text does not matter."""

from __future__ import annotations

import torch
from torch import Tensor


def pool(hidden: Tensor, length: Tensor, how: str) -> Tensor:
    """(batch, time, width) and (batch,) to (batch, width), by "mean", "max", "first" or "last".

    The mean and the maximum of a text without a token are 0.
    """
    if how == "first":
        return hidden[:, 0]
    if how == "last":
        return last(hidden, length)
    inside = (torch.arange(hidden.shape[1], device=hidden.device) < length[:, None])[..., None]
    if how == "max":
        highest = hidden.masked_fill(~inside, -torch.inf).amax(dim=1)
        return highest.masked_fill((length == 0)[:, None], 0)
    return (hidden * inside).sum(dim=1) / length.clamp(min=1)[:, None]


def last(hidden: Tensor, length: Tensor) -> Tensor:
    """The state of each text's last token, (batch, width)."""
    rows = torch.arange(len(hidden), device=hidden.device)
    return hidden[rows, (length - 1).clamp(min=0)]
