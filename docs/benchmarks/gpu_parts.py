"""Where an update of GPT-2 goes on one GPU: its parts by themselves, timed by the device's clock.

    python docs/benchmarks/gpu_parts.py gpt2|gpt2-medium

Each part forward and backward in bf16, as often as an update has it; the share is that of the rate
at which this GPU multiplies large matrices. What an update takes by `gpu.py` beyond these is what
lies between them: norms, activations, residual sums and casts, which the compiler fuses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from gpu import product_rate
from gpu_gpt import SIZES, Gpt, Size, adamw
from torch import Tensor, nn

REPEATS = 20


def milliseconds(work: Callable[[], object]) -> float:
    """The median of some repeats, after as many that are not counted."""
    if not torch.cuda.is_available():
        work()
        return float("nan")
    taken = []
    for _ in range(2 * REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        taken.append(begin.elapsed_time(end))
    return median(taken[REPEATS:])


def normal(*shape: int) -> Tensor:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.randn(*shape, device=device, dtype=torch.bfloat16)


def product(size: Size, width: int, out: int) -> float:
    """Of x W': it, and the gradients of both."""
    tokens = size.batch * size.context
    x, weight, grad = normal(tokens, width), normal(out, width), normal(tokens, out)
    return milliseconds(lambda: (x @ weight.T, grad @ weight, grad.T @ x))


def attention(size: Size) -> tuple[float, float]:
    """Forward, and forward and backward."""
    shape = (size.batch, size.heads, size.context, size.width // size.heads)
    parts = [normal(*shape).requires_grad_() for _ in range(3)]
    grad = normal(*shape)

    def forward() -> Tensor:
        return F.scaled_dot_product_attention(*parts, is_causal=True)

    both = milliseconds(lambda: torch.autograd.grad(forward(), parts, grad))
    return milliseconds(forward), both


def loss(size: Size) -> float:
    """Of logits that are there, in bf16: fused by the compiler, as the bare loop's is."""
    logits = normal(size.batch * size.context, size.vocabulary).requires_grad_()
    labels = torch.randint(size.vocabulary, (len(logits),), device=logits.device)

    def plain(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels)

    take = torch.compile(plain) if logits.is_cuda else plain
    return milliseconds(lambda: torch.autograd.grad(take(logits), logits))


def update(size: Size) -> float:
    """Clipping and AdamW, of all weights in float32."""
    model = Gpt(size).to(normal(1).device)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer = adamw(model)

    def step() -> None:
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return milliseconds(step)


def parts(size: Size) -> dict[str, tuple[float, float]]:
    """Milliseconds of an update, and the operations that it counts in them."""
    tokens, width, layers = size.batch * size.context, size.width, size.layers
    shapes = {"qkv": (width, 3 * width), "out": (width, width), "up": (width, 4 * width)}
    shapes["down"] = (4 * width, width)
    found: dict[str, tuple[float, float]] = {}
    for name, (inner, out) in shapes.items():
        taken = layers * product(size, inner, out)
        found[f"product, {name}"] = (taken, layers * 6 * tokens * inner * out)
    head = product(size, width, size.vocabulary)
    found["product, head"] = (head, 6 * tokens * width * size.vocabulary)
    # Half of a row's places are in the past; gradients take two and a half times a forward pass.
    score = 4 * layers * tokens * size.context * width / 2
    forward, both = attention(size)
    found["attention, forward"] = (layers * forward, score)
    found["attention, both ways"] = (layers * both, 3.5 * score)
    found["loss, without the head"] = (loss(size), 0)
    found["clipping and AdamW"] = (update(size), 0)
    return found


def main(words: list[str] | None = None, size: Size | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("size", choices=SIZES)
    given = parser.parse_args(words)
    rate = product_rate() if torch.cuda.is_available() else float("nan")
    print(f"| {given.size} | ms | share of {rate / 1e12:.0f} Tflop/s |\n|---|---|---|")
    for name, (taken, operations) in parts(size or SIZES[given.size]).items():
        share = f"{operations / taken * 1000 / rate:.0%}" if operations else ""
        print(f"| {name} | {taken:.2f} | {share} |", flush=True)


if __name__ == "__main__":
    main()
