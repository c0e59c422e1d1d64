"""The keys and values of what a transformer has read, kept for the tokens that it goes on with.

keys.0, values.0, ...: of each layer (batch, kv_heads, places, d). A row has `length` (batch,) of
them from `first` (batch,) on, so that all rows end at one place, and the next token's is the same
for all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from loomlm_torch.attending import reads_whole

GROWTH = 16
"""Places to spare, besides an eighth of what there is."""

Kept = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Puts the new keys and values of a layer away, and gives those to attend to."""


def begin(cache: dict[str, Tensor], length: Tensor) -> Kept:
    """For prompts, which attend to themselves alone. length: (batch,)."""
    longest = int(length.max())
    first = longest - length.long()
    cache |= {"length": length.long(), "first": first}
    # What stands before a row is not attended to, but must be numbers: 0 times NaN is NaN.
    moved = (torch.arange(longest, device=length.device) - first[:, None]).clamp_(min=0)

    def keep(layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        for name, new in (("keys", keys), ("values", values)):
            kept = new.new_zeros(*new.shape[:2], _with_spare(longest), new.shape[3])
            kept[:, :, :longest] = new.take_along_dim(moved[:, None, :, None], dim=2)
            cache[f"{name}.{layer}"] = kept
        return keys, values

    return keep


def go_on(cache: dict[str, Tensor]) -> tuple[Kept, Tensor | None, Tensor]:
    """For a token of each row: what keeps it, the mask (batch, 1, 1, keys) of what is attended to,
    none where that is all, and the tokens' places (batch, 1).
    """
    length, first = cache["length"], cache["first"]
    firsts = first.tolist()
    low, high = min(firsts), max(firsts)
    time = int(length[0]) + firsts[0] + 1
    places = cache["keys.0"].shape[2]
    if time > places:
        places = _with_spare(time)
    end = time
    if reads_whole(len(length), length.device):
        low, end = 0, places

    def put(name: str, new: Tensor) -> Tensor:
        kept = cache[name]
        if kept.shape[2] < places:
            kept = cache[name] = F.pad(kept, (0, 0, 0, places - kept.shape[2]))
        # Methods: the same by indexing takes longer than the copy of a small model.
        kept.select(2, time - 1).copy_(new.select(2, 0))
        return kept if (low, end) == (0, places) else kept.narrow(2, low, end - low)

    def keep(layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return put(f"keys.{layer}", key), put(f"values.{layer}", value)

    mask = None
    if low < high or time < end:
        place = torch.arange(low, end, device=length.device)
        mask = ((place >= first[:, None]) & (place < time))[:, None, None]
    cache["length"] = length + 1
    return keep, mask, length[:, None]


def _with_spare(time: int) -> int:
    return time + time // 8 + GROWTH
