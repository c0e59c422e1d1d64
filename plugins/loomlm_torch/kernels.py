"""Which kernels compute: those that give the same bits each time, and float32 that is float32."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from loomlm.plugin import TrainerConfig, UsageError


def prepare(trainer: TrainerConfig, device: torch.device) -> None:
    """Set what must stand before anything runs for exact determinism (see `reproducible`)."""
    if trainer.determinism == "exact":
        # It would fill all memory that is taken, against mistakes that we do not make.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if device.type == "cuda":
            # cuBLAS reads it when the process first multiplies.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def reproducible(exact: bool, device: torch.device) -> Iterator[None]:
    """Within, the kernels give the same bits each time. An operation that has none is a UsageError.

    The setting is the whole process's, so it is put back: a user's own work may want another.
    """
    # With warnings in place of errors, attention's backward pass on CUDA would stay as it is: not
    # reproducible. Of MPS nobody knows which kernels would be refused.
    wanted = (True, device.type == "mps")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    if not exact or before == wanted:
        yield
        return
    _switch(*wanted)
    try:
        yield
    except RuntimeError as error:
        _explain(error, device)
        raise
    finally:
        _switch(*before)


def _switch(exact: bool, warn_only: bool) -> None:
    # `torch.use_deterministic_algorithms` imports the compiler, and takes 3 ms each time.
    torch._C._set_deterministic_algorithms(exact, warn_only=warn_only)


def _explain(error: RuntimeError, device: torch.device) -> None:
    """Raise UsageError where an error came of what `reproducible` asks for."""
    said = str(error)
    if "CUBLAS_WORKSPACE_CONFIG" in said:
        raise UsageError(
            'trainer.determinism = "exact" cannot be had any more: this process multiplied on the '
            "GPU before the model was made. Set CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment "
            'before Python starts, or set trainer.determinism = "fast".'
        ) from error
    what, found, _ = said.partition(" does not have a deterministic implementation")
    if found:
        raise UsageError(
            f'trainer.determinism = "exact" cannot be kept on {device}: {what.split()[-1]} has no '
            "kernel that gives the same bits each time. Compute it in another way, or set "
            'trainer.determinism = "fast".'
        ) from error


@contextmanager
def whole_float32(precision: str, device: torch.device) -> Iterator[None]:
    """Within, fp32 has all its bits: cuDNN would compute an LSTM in TF32, which has 10 of 23.

    Matrix products are left as the process has them: PyTorch takes float32 by default. The setting
    is the whole process's, and put back.
    """
    if precision != "fp32" or device.type != "cuda" or not _tf32_allowed():
        yield
        return
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = True


def _tf32_allowed() -> bool:
    """False also where somebody has set it for each operation: it stays as they want it."""
    try:
        return torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return False
