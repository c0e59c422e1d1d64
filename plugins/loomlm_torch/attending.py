"""Scaled dot-product attention, by whichever of PyTorch's kernel and plain products is faster."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from loomlm_torch.drawing import dropout

MOST = 1 << 25
"""Numbers that attention may hold at once, (batch, heads, time, keys), where PyTorch's kernel could
do it, which holds few of them. In bf16, 64 MB."""


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, share: float, training: bool
) -> Tensor:
    """Queries (batch, heads, time, d), keys and values (batch, kv_heads, keys, d) to what q has.

    mask: broadcast over (batch, heads, time, keys), true for what is attended to; each query sees
    something. causal: each sees what is not behind it; then there is no mask. share: of dropout.
    """
    share = share if training else 0.0
    if training and _plainly(q, k, share):
        return _plain(q, k, v, mask, causal, share)
    if q.shape[2] == 1 and not training and reads_whole(len(q), q.device):
        return _one(q, k, v, mask)
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        dropout_p=share,
        is_causal=causal,
        enable_gqa=q.shape[1] != k.shape[1],
    )


def _plainly(q: Tensor, k: Tensor, share: float) -> bool:
    """Whether products, a softmax and more products are faster than PyTorch's one kernel.

    With dropout it has none on a CPU, and computes in float32; in bf16 its own is slow to find
    gradients (docs/benchmarks/notes.md).
    """
    if q.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    numbers = q.shape[:3].numel() * k.shape[2]
    return share > 0 or (q.dtype == torch.bfloat16 and numbers <= MOST)


def reads_whole(rows: int, device: torch.device) -> bool:
    """Whether one query each of so many rows is best given whole arrays of keys, with a mask.

    PyTorch's kernel takes the rows' heads one by one on a CPU; one product of all is twice as fast,
    but would copy a slice of them first (docs/benchmarks/notes.md).
    """
    return rows > 1 and device.type == "cpu"


def _one(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The same for q (batch, heads, 1, d), with the queries that share keys in one product."""
    size, heads, _, d = q.shape
    shared = q.reshape(size * k.shape[1], heads // k.shape[1], d) * d**-0.5
    scores = torch.bmm(shared, k.flatten(0, 1).mT)
    if mask is not None:
        least = torch.finfo(q.dtype).min
        scores.view(size, heads, 1, -1).masked_fill_(~mask, least)
    return torch.bmm(scores.softmax(dim=-1), v.flatten(0, 1)).view(q.shape)


def _plain(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, share: float
) -> Tensor:
    time, keys = q.shape[2], k.shape[2]
    if q.shape[1] != k.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    if causal:
        mask = torch.ones(time, keys, dtype=torch.bool, device=q.device).tril()
    scores = (q * q.shape[3] ** -0.5) @ k.mT
    if mask is not None:
        least = torch.finfo(q.dtype).min
        scores += torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, least)
    return dropout(scores.softmax(dim=-1), share) @ v
