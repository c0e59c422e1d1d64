"""A model's matrices laid out anew for steps of a few rows, which generation takes, on a CPU.

A step of one token a row reads each matrix for next to no arithmetic, and PyTorch's product with a
weight as it is stored, (outputs, inputs), then reads it at a fraction of the memory's speed.
"""

from __future__ import annotations

import copy
import platform
from math import inf

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm_torch.linear import WIDE, gain, is_plain

MACHINES = ("x86_64", "AMD64")

ROWS = 2
"""What oneDNN is told to expect. Its layout for 2 rows was the fastest of those for 1, 2, 16 and 64
at each number of rows from 2 to 64 (docs/benchmarks/notes.md)."""

SMALL = 1 << 16
"""Numbers of a matrix up to which another product's call costs more than it gains, in fp32."""

MOST_OUTPUTS = 512
"""Outputs up to which a sum of a matrix's rows was the faster, where AVX-512 is 256 bits wide."""


def most_summed() -> float:
    """Outputs up to which one row's product is the fastest as a sum of a matrix's rows.

    None without AVX-512, where it was not measured (docs/benchmarks/notes.md).
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return 0
    return inf if gain() is WIDE else MOST_OUTPUTS


def can_pack(precision: str, device: torch.device) -> bool:
    """Whether `packed` works here, and gains something: on processors like those measured."""
    mkldnn = torch.backends.mkldnn
    if device.type != "cpu" or platform.machine() not in MACHINES:
        return False
    if not (mkldnn.is_available() and mkldnn.enabled):
        return False
    # oneDNN has no bf16 on older processors; PyTorch's own product has, slowly.
    in_bf16 = precision == "bf16" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return precision == "fp32" or in_bf16


def packed(module: nn.Module, precision: str, single: bool) -> nn.Module:
    """The module with copies of its matrices as they are now, and all else shared with it.

    single: for steps of one row, in fp32.
    """
    return _packed(module, precision, single, {})


def _packed(
    module: nn.Module, precision: str, single: bool, done: dict[int, nn.Module]
) -> nn.Module:
    if id(module) in done:
        return done[id(module)]
    # A class derived from it, or hooks, may do more than multiply.
    hooked = module._forward_hooks or module._forward_pre_hooks
    if is_plain(module) and module.weight.dtype == torch.float32 and not hooked:
        assert isinstance(module, nn.Linear)
        other: nn.Module = _laid_out(module, precision, single)
    else:
        other = copy.copy(module)
        other._modules = {
            name: None if child is None else _packed(child, precision, single, done)
            for name, child in module._modules.items()
        }
    done[id(module)] = other
    return other


def _laid_out(linear: nn.Linear, precision: str, single: bool) -> nn.Module:
    large = linear.weight.numel() > SMALL
    if not single and (precision != "fp32" or large):
        return Packed(linear, precision)
    if single and large and linear.out_features <= most_summed():
        return Summed(linear)
    # Fewer outputs than inputs are found faster from the matrix as it is.
    return linear if linear.out_features < linear.in_features else Turned(linear)


class Packed(nn.Module):
    """An `nn.Linear` whose matrix stands as oneDNN likes it."""

    def __init__(self, linear: nn.Linear, precision: str) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.kind = torch.bfloat16 if precision == "bf16" else torch.float32
        self.matrix = torch.ops.mkldnn._reorder_linear_weight(linear.weight.to(self.kind), ROWS)
        self.offset = None if linear.bias is None else linear.bias.to(self.kind)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        x = x.to(self.kind)
        return torch.ops.mkldnn._linear_pointwise(x, self.matrix, self.offset, "none", [], "")


class Turned(nn.Module):
    """An `nn.Linear` whose matrix stands as (inputs, outputs)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.matrix = linear.weight.T.contiguous().T

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return F.linear(x, self.matrix, self.bias)


class Summed(nn.Module):
    """An `nn.Linear` for one row: the sum of a table's rows, (inputs, outputs), times its inputs.

    As a bag of embeddings is looked up; a product of matrices reads the same memory more slowly.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.table = linear.weight.T.contiguous()
        self.rows = torch.arange(linear.in_features, dtype=torch.int32)
        self.start = torch.zeros(1, dtype=torch.int32)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs), of one row in all."""
        weights = x.reshape(-1)
        bags = torch.embedding_bag(self.table, self.rows, self.start, False, 0, False, weights)[0]
        found = bags.view(*x.shape[:-1], -1)
        return found if self.bias is None else found + self.bias
