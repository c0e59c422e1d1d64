"""Compiling a training step (`trainer.compile`): what it needs, and how it is done."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loomlm.plugin import ModelSpec, UsageError

WIDE, ENOUGH, ENOUGH_NARROW = 768, 1000, 13_000
"""Steps that win back what compiling takes, on a GPU, from a width on and below it, where a step is
short without: see docs/benchmarks/gpu.md."""

# Advice on how the compiler could do better, not on anything that a user could do.
warnings.filterwarnings("ignore", r"\s*Online softmax is disabled")
# It would have float32 computed in less; who wants that sets precision.
warnings.filterwarnings("ignore", "TensorFloat32 tensor cores")


def choose(device: str, steps: int | None, width: int) -> tuple[bool, str]:
    """Whether to compile for a device where the config leaves it open, and why.

    steps: of the stage; None where they are counted in epochs. Then rows mostly come in many
    widths, and nobody knows yet how many steps there are. width: of the backbone.
    """
    if not device.startswith("cuda"):
        return False, "compiling pays on CUDA"
    enough = ENOUGH if width >= WIDE else ENOUGH_NARROW
    if steps is None or steps < enough:
        return False, f"compiling pays from trainer.steps = {enough} on at this width"
    lacking = _lacking(device)
    return (False, f"no {lacking}") if lacking else (True, "faster on this GPU, after a first wait")


def check(device: str) -> None:
    """Raises UsageError where what compiles for a device is not installed."""
    lacking = _lacking(device)
    if lacking:
        raise UsageError(
            f"trainer.compile = true needs {lacking} for the device {device!r}, and there is none. "
            'Install it, or set trainer.compile to "auto" or false.'
        )


def compiled(
    function: Callable[..., Any], module: nn.Module, spec: ModelSpec, exact: bool
) -> Callable[..., Any]:
    """A function that runs the module, compiled for each shape of a batch when it first comes.

    exact: whether another process is to compile the same, so nothing is chosen by timing it.

    Tables of which only the rows of a batch learn are left out: the number of those rows changes
    from batch to batch. So are modules with the attribute `uncompiled = True`. Dropout draws from
    the same generator, but other numbers.
    """
    # Imported late: it takes seconds.
    from torch._dynamo import config

    for parameter in spec.layout:
        if parameter.sparse:
            table = module.get_submodule(parameter.name.rpartition(".")[0])
            table.forward = torch.compiler.disable(table.forward)
    for part in module.modules():
        if getattr(part, "uncompiled", False):
            part.forward = torch.compiler.disable(part.forward)
    # At its limit, 8 programs, the compiler would go on uncompiled, without a word.
    config.recompile_limit = max(config.recompile_limit, 2 * len(spec.batch.shapes))
    return torch.compile(function, dynamic=False, options={"deterministic": exact})


def _lacking(device: str) -> str | None:
    """What compiling for a device needs and cannot be found."""
    if device.startswith("cuda"):
        if find_spec("triton") is None:
            return "the package triton"
        return None if _found("CC", "gcc", "clang") else "a C compiler (gcc or clang)"
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    if not _found("CXX", usual):
        return f"a C++ compiler ({usual}, or the one that CXX names)"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return None if header.exists() else f"Python's header files ({header})"


def _found(variable: str, *usual: str) -> bool:
    named = os.environ.get(variable)
    return any(shutil.which(name) for name in ([named] if named else usual))
