"""Dropout on a CPU. PyTorch draws each number by itself, and takes most of its time for that."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PARTS = 1 << 15
"""A number is left out by 15 random bits, a share of 0.1 so by 3,277 of 32,768."""


def dropout(x: Tensor, share: float, training: bool = True) -> Tensor:
    """Leave out a share of the numbers, and raise the others, while training.

    A function of PyTorch's generator, as `torch.nn.functional.dropout` is, with other numbers.
    """
    if not (training and share):
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, share)
    dropped = min(round(share * PARTS), PARTS - 1)
    return _Dropout.apply(x, _kept(x.shape, dropped), PARTS / (PARTS - dropped))


def _kept(shape: torch.Size, dropped: int) -> Tensor:
    """Int16: all bits where a number is kept, none where not."""
    seed = int(torch.randint(1 << 62, ()))
    # NumPy's fastest (Doty-Humphrey's SFC64), 64 bits a number: four times 16 of them.
    raw = np.random.SFC64(seed).random_raw((shape.numel() + 3) // 4).view(np.int16)
    bits = torch.from_numpy(raw)[: shape.numel()].view(shape)
    # The sign of the difference, in all bits.
    return bits.bitwise_and_(PARTS - 1).neg_().add_(dropped - 1).bitwise_right_shift_(15)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, scale: float) -> Tensor:
        if x.dtype.itemsize != kept.dtype.itemsize:
            kept = kept.type_as(x).mul_(-scale)  # All bits are -1.
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return _left(x, kept, scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return _left(gradients[0], kept, ctx.scale), None, None


def _left(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    """kept: int16 for numbers of 16 bits, otherwise 0 or the scale."""
    if kept.dtype != torch.int16:
        return x * kept
    return x.contiguous().view(torch.int16).bitwise_and(kept).view(x.dtype).mul_(scale)
