"""A bare training loop in PyTorch: GPT-2 as nanoGPT trains it, and nanoGPT itself.

Learned positions, LayerNorm in front, GELU, no biases, no dropout, a tied head; fused AdamW,
clipping. Batches are copied from pinned memory; the bare loop never waits for the device.
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn


@frozen
class Size:
    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int
    batch: int

    def flops(self, parameters: int) -> float:
        """Of a token, forward and back (Chowdhery 2022). parameters: without those of positions."""
        return 6 * parameters + 12 * self.layers * self.width * self.context


SIZES = {
    "gpt2": Size(12, 12, 768, 1024, 50_304, 32),
    "gpt2-medium": Size(24, 16, 1024, 1024, 50_304, 16),
    "small": Size(6, 6, 384, 256, 256, 64),
}
"""GPT-2 with 124 and 354 million parameters (Radford 2019), and nanoGPT's of single characters."""


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


class NanoGpt(nn.Module):
    """nanoGPT's model and optimizer. folder: with github.com/karpathy/nanoGPT."""

    def __init__(self, size: Size, folder: Path) -> None:
        super().__init__()
        sys.path.insert(0, str(folder))
        nanogpt = importlib.import_module("model")
        config = nanogpt.GPTConfig(
            block_size=size.context,
            vocab_size=size.vocabulary,
            n_layer=size.layers,
            n_head=size.heads,
            n_embd=size.width,
            dropout=0.0,
            bias=False,
        )
        with redirect_stdout(sys.stderr):
            self.gpt = nanogpt.GPT(config)

    def forward(self, tokens: Tensor, label: Tensor) -> Tensor:
        return self.gpt(tokens, label)[1]

    def optimizer(self, device: str) -> torch.optim.Optimizer:
        with redirect_stdout(sys.stderr):
            return self.gpt.configure_optimizers(0.1, 3e-4, (0.9, 0.95), device)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), fused=True)


class Bare:
    """The loop; `run` does some updates and gives the seconds.

    compiled: whether the model is. bf16: in that, else in float32. Nothing is on the device before
    the first update. Of nanoGPT the loop is that of its `train.py`: it asks for the loss in each
    tenth update.
    """

    def __init__(
        self,
        size: Size,
        model: nn.Module,
        data: np.ndarray,
        device: str,
        bf16: bool,
        compiled: bool = False,
    ) -> None:
        self.size, self.data, self.device = size, data, torch.device(device)
        self.model, self.bf16, self.compile = model, bf16, compiled
        self.generator = np.random.default_rng(1337)
        self.function: nn.Module | None = None

    def _begin(self) -> nn.Module:
        self.model.to(self.device)
        nano = isinstance(self.model, NanoGpt)
        self.optimizer = self.model.optimizer(self.device.type) if nano else adamw(self.model)
        return torch.compile(self.model) if self.compile else self.model

    def _batch(self) -> tuple[Tensor, Tensor]:
        size = self.size
        starts = self.generator.integers(len(self.data) - size.context - 1, size=size.batch)
        rows = np.stack([self.data[s : s + size.context + 1] for s in starts]).astype(np.int64)
        tokens, label = (torch.from_numpy(rows[:, at : at + size.context].copy()) for at in (0, 1))
        return self._there(tokens), self._there(label)

    def _there(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def run(self, steps: int) -> float:
        """Seconds of some updates."""
        if self.function is None:
            self.function = self._begin()
        function = self.function
        self._wait()
        started = time.perf_counter()
        batch = self._batch()
        for step in range(steps):
            with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
                loss = function(*batch)
            batch = self._batch()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if isinstance(self.model, NanoGpt) and step % 10 == 0:
                loss.item()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
