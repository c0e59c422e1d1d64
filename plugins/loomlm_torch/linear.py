"""Products with a weight in float32 by oneDNN, on processors where it is the faster one.

PyTorch multiplies float32 with MKL on x86. On AMD's processors with AVX-512 oneDNN takes half the
time where their arithmetic is 512 bits wide; where it is 256 bits wide it takes less for large
products, but those of a weight's gradient (docs/benchmarks/notes.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@frozen
class Gain:
    """What oneDNN gains on a processor.

    least: multiplications of a product from which on a call of it is worth its while.
    with_gradients: the same where gradients are wanted, for which Python is called in between.
    weights: whether for the gradients of weights too.
    places: numbers of a batch from which reading one gains more than `reading` costs a small model;
    None where it was not measured.
    """

    least: int
    with_gradients: int
    weights: bool
    places: int | None


NARROW = Gain(1 << 24, 1 << 26, weights=False, places=None)
WIDE = Gain(1 << 21, 1 << 21, weights=True, places=64)


@cache
def gain() -> Gain | None:
    """What there is to gain here; None where PyTorch's own products are the faster ones."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return None
    found = torch.cpu.get_capabilities()
    if "AMD" not in str(found.get("cpu_name")) or not found.get("avx512_f"):
        return None
    # Of AMD's processors those of family 26 (Zen 5), the first that are so wide, came with it.
    return WIDE if found.get("avx512_vp2intersect") else NARROW


def adopt(module: nn.Module, device: torch.device) -> None:
    """Have the linear layers within a module multiply so, where that is faster.

    They stay what they are by name, weights and hooks, whoever made them; but not by class, by
    which tools find them, so a model is left as it is until it trains.
    """
    if device.type != "cpu" or gain() is None:
        return
    for layer in module.modules():
        if is_plain(layer):
            layer.__class__ = Linear


def is_plain(layer: nn.Module) -> bool:
    """Whether it is a linear layer that nobody has derived from or given another forward."""
    return type(layer) in (nn.Linear, Linear) and "forward" not in vars(layer)


class Linear(nn.Linear):
    """An `nn.Linear`, in training by whichever library is faster.

    Without gradients it is PyTorch's, or `reading`'s: an evaluation gives the same bits whether its
    model has trained in this process, or was loaded to go on with a run or by itself.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - so it is named by callers
        """(..., inputs) to (..., outputs)."""
        if not _learns(input, self.weight):
            return super().forward(input)
        return linear(input, self.weight, self.bias)


def reading(
    batch: Mapping[str, Tensor], precision: str, device: torch.device
) -> AbstractContextManager[Any]:
    """Where a model reads a batch without gradients, by whichever library is faster.

    Its layers stay what they are. Each call from Python takes one or two microseconds more within.
    """
    here = gain() if device.type == "cpu" and precision == "fp32" else None
    if here is None or here.places is None:
        return nullcontext()
    places = max((tensor.numel() for tensor in batch.values()), default=0)
    return nullcontext() if places < here.places else _Products()


class _Products(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # A subclass of Tensor may multiply in its own way.
        if func is F.linear and not types:
            return _linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
    return linear(input, weight, bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `F.linear` gives for x (..., inputs) and weight (outputs, inputs)."""
    if not _pays(x, weight):
        return F.linear(x, weight, bias)
    if not _learns(x, weight):
        return _product(x, weight, bias)
    found: Any = _Linear.apply(x, weight, bias)
    return found


def weight_slope(slope: Tensor, x: Tensor) -> Tensor:
    """A weight's gradient, (outputs, inputs): of slopes (rows, outputs) and x (rows, inputs)."""
    return linear(slope.T, x.T, None) if _for_weights(slope) else slope.T @ x


def add_weight_slope(total: Tensor, slope: Tensor, x: Tensor) -> None:
    """Add it to a sum in float32."""
    if slope.dtype != total.dtype or _for_weights(slope):
        total += weight_slope(slope, x)
    else:
        torch.addmm(total, slope.T, x, out=total)


def _for_weights(slope: Tensor) -> bool:
    here = gain()
    return here is not None and here.weights and slope.device.type == "cpu"


def _learns(x: Tensor, weight: Tensor) -> bool:
    return torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)


def _pays(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN gives this product sooner."""
    # The compiler, which has products of its own, says a word of each cache that it looks into.
    here = None if torch.compiler.is_compiling() else gain()
    if here is None:
        return False
    least = here.with_gradients if _learns(x, weight) else here.least
    # Of nothing it has no product.
    return x.numel() * len(weight) >= max(1, least) and _suited(x, weight)


def _suited(x: Tensor, weight: Tensor) -> bool:
    if not (x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32):
        return False
    matrices = x.dim() > 1 and weight.dim() == 2 and weight.layout == torch.strided
    others = torch.is_autocast_enabled("cpu") or torch._C._are_functorch_transforms_active()
    return matrices and torch.backends.mkldnn.enabled and not others


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
            weight_slope(rows, x.flatten(0, -2)) if wanted[1] else None,
            rows.sum(dim=0) if wanted[2] else None,
        )
