"""A bare training loop in PyTorch: GPT-2 as nanoGPT trains it, small in size where none is given.

Learned positions, LayerNorm in front, GELU, no biases, no dropout, a tied head; fused AdamW,
clipping. On a GPU compiled, with batches copied from pinned memory; nothing waits for the device.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn


@frozen
class Size:
    layers: int = 12
    heads: int = 12
    width: int = 768
    context: int = 1024
    vocabulary: int = 50_304
    batch: int = 32

    def flops(self, parameters: int) -> float:
        """Of a token, forward and back (Chowdhery 2022). parameters: without those of positions."""
        return 6 * parameters + 12 * self.layers * self.width * self.context


class Block(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, width = size.heads, size.width
        self.norms = nn.ModuleList(nn.LayerNorm(width, bias=False) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, time_, width = x.shape
        parts = self.qkv(self.norms[0](x)).split(width, dim=2)
        q, k, v = (p.view(rows, time_, self.heads, -1).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, time_, width))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Gpt(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.places = nn.Embedding(size.context, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width, bias=False)
        torch.manual_seed(1337)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scaled = name.endswith(("out.weight", "down.weight"))
                std = 0.02 / (math.sqrt(2 * size.layers) if scaled else 1)
                nn.init.normal_(parameter, std=std)

    @property
    def size(self) -> int:
        """Parameters without those of positions, as nanoGPT counts them."""
        return sum(p.numel() for p in self.parameters()) - self.places.weight.numel()

    def forward(self, tokens: Tensor, label: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.places(places)
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), label.flatten())


class Bare:
    """The loop; `run` does some updates and gives the seconds."""

    def __init__(
        self, size: Size, model: nn.Module, data: np.ndarray, device: str, bf16: bool
    ) -> None:
        self.size, self.data, self.device = size, data, torch.device(device)
        self.bf16 = bf16
        self.model = model.to(self.device)
        matrices = [p for p in self.model.parameters() if p.dim() == 2]
        others = [p for p in self.model.parameters() if p.dim() != 2]
        groups = [
            {"params": matrices, "weight_decay": 0.1},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), fused=True)
        self.compiled = torch.compile(self.model) if device == "cuda" else self.model
        self.generator = np.random.default_rng(1337)

    def _batch(self) -> tuple[Tensor, Tensor]:
        size = self.size
        starts = self.generator.integers(len(self.data) - size.context - 1, size=size.batch)
        rows = np.stack([self.data[s : s + size.context + 1] for s in starts]).astype(np.int64)
        tokens, label = torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])
        return self._there(tokens), self._there(label)

    def _there(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def run(self, steps: int) -> float:
        """Seconds of some updates."""
        self._wait()
        started = time.perf_counter()
        batch = self._batch()
        for _ in range(steps):
            with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
                loss = self.compiled(*batch)
            batch = self._batch()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
