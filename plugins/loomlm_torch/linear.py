"""Large products with a weight in float32 by oneDNN, on processors where it is the faster one.

PyTorch multiplies float32 with MKL on x86. On AMD's processors with AVX-512 oneDNN takes less time
for a layer's outputs and for the gradients of its inputs; for those of its weight the two take the
same (docs/benchmarks/notes.md).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 1 << 24
"""Multiplications of a product from which on a call of oneDNN is worth its while."""

LEAST_WITH_GRADIENTS = 1 << 26
"""The same where gradients are wanted, for which Python is called in between."""


@cache
def faster_here() -> bool:
    """Whether this is such a processor, and PyTorch has both libraries."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    found = torch.cpu.get_capabilities()
    return "AMD" in str(found.get("cpu_name")) and bool(found.get("avx512_f"))


def adopt(module: nn.Module, device: torch.device) -> None:
    """Have the linear layers within a module multiply so, where that is faster.

    They stay what they are by name, weights and hooks, whoever made them; but not by class, by
    which tools find them, so a model is left as it is until it trains.
    """
    if device.type != "cpu" or not faster_here():
        return
    for layer in module.modules():
        if is_plain(layer):
            layer.__class__ = Linear


def is_plain(layer: nn.Module) -> bool:
    """Whether it is a linear layer that nobody has derived from or given another forward."""
    return type(layer) in (nn.Linear, Linear) and "forward" not in vars(layer)


class Linear(nn.Linear):
    """An `nn.Linear`, in training by whichever library is faster.

    Without gradients it is PyTorch's: an evaluation gives the same bits whether its model has
    trained in this process, or was loaded to go on with a run or by itself.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - so it is named by callers
        """(..., inputs) to (..., outputs)."""
        if not _learns(input, self.weight):
            return super().forward(input)
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `F.linear` gives for x (..., inputs) and weight (outputs, inputs)."""
    learns = _learns(x, weight)
    least = LEAST_WITH_GRADIENTS if learns else LEAST
    if x.numel() * len(weight) < least or not _suited(x, weight):
        return F.linear(x, weight, bias)
    if not learns:
        return _product(x, weight, bias)
    found: Any = _Linear.apply(x, weight, bias)
    return found


def _learns(x: Tensor, weight: Tensor) -> bool:
    return torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)


def _suited(x: Tensor, weight: Tensor) -> bool:
    if not (x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and x.dim() > 1):
        return False
    others = (
        torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
    )
    return faster_here() and torch.backends.mkldnn.enabled and not others


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (slope,) = given
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        rows = slope.flatten(0, -2)
        return (
            linear(slope, weight.T, None) if wanted[0] else None,
            rows.T @ x.flatten(0, -2) if wanted[1] else None,
            rows.sum(dim=0) if wanted[2] else None,
        )
