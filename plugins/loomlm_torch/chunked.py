"""Cross-entropy behind a linear head, without all of its logits at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import Loss
from loomlm_torch.linear import add_weight_slope, is_plain, linear

PART = 7 << 20
"""Logits at once: 28 MiB, which the C library does not map by themselves (see heap.py)."""

GPU_PART = 1 << 27
"""The same where a product must be large to be fast: 512 MiB."""


def most_logits(device: torch.device) -> int:
    """Logits of a head that are computed at once."""
    return GPU_PART if device.type == "cuda" else PART


def fits(head: nn.Module, loss: Loss, precision: str) -> bool:
    """Whether a head's loss may be taken so.

    In fp16 it may not: its gradients would be taken before the loss is scaled, and small ones lost.
    A head that something else has changed computes what only it knows.
    """
    hooked = head._forward_hooks or head._forward_pre_hooks or head._backward_hooks
    return is_plain(head) and not hooked and loss.kind == "cross_entropy" and precision != "fp16"


def chunked_loss(
    head: nn.Linear, hidden: Tensor, batch: Mapping[str, Tensor], loss: Loss
) -> Tensor:
    """What `weighted_loss` says of `head(hidden)`, (..., width), in parts of `most_logits` at most.

    The gradients are taken as well where the logits of a part are at hand, so that none is
    computed twice, as Liger Kernel does it (Hsu 2024). Within autocast, products are in its type.
    """
    rows = hidden.flatten(0, -2)
    dtype = rows.dtype
    if torch.is_autocast_enabled(rows.device.type):
        dtype = torch.get_autocast_dtype(rows.device.type)
    label, weight = batch["label"].flatten().long(), batch["weight"].flatten()
    found: Any = _ChunkedLoss.apply(
        rows, head.weight, head.bias, label, weight, loss.label_smoothing, dtype
    )
    return found


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        label: Tensor,
        share: Tensor,
        smoothing: float,
        dtype: torch.dtype,
    ) -> Tensor:
        """hidden: (rows, width). weight: (outputs, width). share: of each row in the loss."""
        total = torch.zeros((), device=hidden.device)
        # Of each that trains: its gradient, filled part by part.
        slopes, turn, shift = (
            torch.zeros_like(tensor) if tensor is not None and wanted else None
            for tensor, wanted in zip((hidden, weight, bias), ctx.needs_input_grad, strict=False)
        )
        matrix, added = weight.to(dtype), None if bias is None else bias.to(dtype)
        for at in _parts(len(hidden), len(weight), most_logits(hidden.device)):
            read = hidden[at].to(dtype)
            odds = F.log_softmax(linear(read, matrix, added).float(), dim=1)
            own = label[at, None]
            total -= _sum_of_odds(odds, own, share[at], smoothing)
            slope = _slope(odds, own, share[at], smoothing)
            if shift is not None:
                shift += slope.sum(dim=0)
            slope = slope.to(dtype)
            if slopes is not None:
                slopes[at] = linear(slope, matrix.T, None)
            if turn is not None:
                add_weight_slope(turn, slope, read)
        ctx.save_for_backward(slopes, turn, shift)
        return total

    @staticmethod
    # The decorator hides the parameters' names.
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *given: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (scale,) = given
        found = (None if slope is None else slope.mul_(scale) for slope in ctx.saved_tensors)
        return *found, None, None, None, None


def _sum_of_odds(odds: Tensor, own: Tensor, share: Tensor, smoothing: float) -> Tensor:
    """Sum of share times the log odds of the labels, (rows, 1), among those of all."""
    each = odds.gather(1, own).squeeze(1)
    if smoothing:
        each = each * (1 - smoothing) + odds.mean(dim=1) * smoothing
    return (each * share).sum()


def _slope(odds: Tensor, own: Tensor, share: Tensor, smoothing: float) -> Tensor:
    """The loss differentiated by the logits, in the place of the log odds."""
    slope = odds.exp_()
    if smoothing:
        slope -= smoothing / slope.shape[1]
    slope.scatter_(1, own, slope.gather(1, own) + (smoothing - 1))
    return slope.mul_(share[:, None])


def _parts(rows: int, outputs: int, most: int) -> list[slice]:
    """Rows as parts of about the same size, each of at most `most` logits or a single row."""
    count = max(1, -(-rows * outputs // most))
    size = max(1, -(-rows // count))
    return [slice(at, at + size) for at in range(0, rows, size)]
