"""A bare training loop in PyTorch: the model of `shakespeare.toml`, and nothing else.

    python docs/benchmarks/bare_gpt.py TEXT STEPS WARMUP

Prints JSON: tokens a second of the steps behind the warm-up, and the last tenth's loss.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS, HEADS, WIDTH, HIDDEN, CONTEXT, BATCH = 4, 4, 128, 344, 64, 12
PEAK, FLOOR, RISE, TOTAL = 1e-3, 1e-4, 100, 2000


class Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (WIDTH,), self.weight, 1e-5)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: halves of a head (rows, heads, time, width) as pairs."""
    one, other = x.chunk(2, dim=-1)
    return torch.cat([one * cos - other * sin, one * sin + other * cos], dim=-1)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([Norm(), Norm()])
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.gate = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, time_, _ = x.shape
        parts = self.qkv(self.norms[0](x)).split(WIDTH, dim=2)
        q, k, v = (p.view(rows, time_, HEADS, WIDTH // HEADS).transpose(1, 2) for p in parts)
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, time_, WIDTH))
        normed = self.norms[1](x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


class Gpt(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = Norm()
        size = WIDTH // HEADS // 2
        angles = torch.arange(CONTEXT)[:, None] / 10000 ** (torch.arange(size) / size)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scaled = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * LAYERS) if scaled else 1))

    def forward(self, tokens: Tensor, label: Tensor) -> Tensor:
        x, time_ = self.tokens(tokens), tokens.shape[1]
        for block in self.blocks:
            x = block(x, self.cos[:time_], self.sin[:time_])
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), label.flatten())


def rate(step: int) -> float:
    if step < RISE:
        return PEAK * (step + 1) / RISE
    past = (step - RISE) / (TOTAL - RISE)
    return FLOOR + (PEAK - FLOOR) * (1 + math.cos(math.pi * past)) / 2


def batch(data: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    starts = torch.randint(len(data) - CONTEXT, (BATCH,), generator=generator).tolist()
    rows = torch.stack([data[start : start + CONTEXT + 1] for start in starts])
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def loss_of(model: Gpt, data: Tensor) -> float:
    """Mean over all windows, one after another."""
    total = count = 0.0
    for start in range(0, len(data) - 1, CONTEXT):
        rows = data[start : start + CONTEXT + 1]
        total += float(model(rows[None, :-1], rows[None, 1:])) * (len(rows) - 1)
        count += len(rows) - 1
    return total / count


def main(path: Path, steps: int, warmup: int) -> None:
    torch.manual_seed(1337)
    torch.set_num_threads(1)
    text = gzip.decompress(path.read_bytes()).decode()
    ids = {character: number for number, character in enumerate(sorted(set(text)))}
    data = torch.tensor([ids[character] for character in text])
    train, held = data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :]
    model, generator = Gpt(len(ids)), torch.Generator().manual_seed(1337)
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99), fused=True)
    started = time.perf_counter()
    for step in range(steps):
        if step == warmup:
            started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = model(*batch(train, generator))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    speed = (steps - warmup) * BATCH * CONTEXT / (time.perf_counter() - started)
    found = loss_of(model, held) if steps == TOTAL else None
    print(json.dumps({"tokens_per_second": speed, "validation_loss": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
