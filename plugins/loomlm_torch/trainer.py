"""The `torch` backend: its devices, what it makes of "auto", and its engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from attrs import frozen

from loomlm.plugin import (
    Backbone,
    Device,
    ModelSpec,
    NoConfig,
    TrainerConfig,
    UsageError,
    did_you_mean,
)
from loomlm_torch import compiling, kernels
from loomlm_torch.engine import TorchEngine
from loomlm_torch.heap import keep_freed_memory
from loomlm_torch.model import build_model
from loomlm_torch.team import TorchTeam

WIDE = 128
"""Width from which on bf16 pays on a CPU that multiplies in it: see docs/benchmarks/notes.md."""

MULTIPLIES = ("avx512_bf16", "amx_bf16")
"""What such a CPU can do; on others PyTorch computes in bf16 by detours, slowly."""


@frozen
class TorchTrainer:
    """See `loomlm.plugin.Trainer`."""

    config: NoConfig

    def devices(self) -> tuple[Device, ...]:
        found = []
        if torch.cuda.is_available():
            found += [
                Device(name=f"cuda:{index}", description=torch.cuda.get_device_name(index))
                for index in range(torch.cuda.device_count())
            ]
        if torch.backends.mps.is_available():
            found.append(Device(name="mps", description="Apple GPU"))
        found.append(Device(name="cpu", description=f"{_cores()} cores"))
        return tuple(found)

    def resolve(self, trainer: TrainerConfig, backbone: Backbone) -> Mapping[str, tuple[Any, str]]:
        resolved: dict[str, tuple[Any, str]] = {}
        devices = self.devices()
        device = trainer.device
        if device == "auto":
            device = devices[0].name
            resolved["device"] = (device, devices[0].description)
        kinds = {found.name for found in devices} | {found.name.split(":")[0] for found in devices}
        if device not in kinds:
            raise UsageError(f"There is no device {device!r} here. {did_you_mean(device, kinds)}")
        if trainer.precision == "auto":
            resolved["precision"] = _precision(device, backbone)
        if trainer.compile == "auto":
            resolved["compile"] = compiling.choose(device, trainer.steps, backbone.width)
        elif trainer.compile:
            compiling.check(device)
        if trainer.threads == "auto":
            resolved["threads"] = (
                (backbone.threads, "as many as the backbone's operations are worth")
                if backbone.threads is not None
                else _threads()
            )
        return resolved

    def engine(
        self,
        spec: ModelSpec,
        trainer: TrainerConfig,
        builders: Callable[[str, str], Any],
    ) -> TorchEngine:
        assert isinstance(trainer.threads, int)
        torch.set_num_threads(trainer.threads)
        device = torch.device(trainer.device)
        kernels.prepare(trainer, device)
        if device.type == "cpu":
            keep_freed_memory(4 * max(prod(parameter.shape) for parameter in spec.layout))
        module = build_model(spec, builders("backbone", spec.backbone)).to(device)
        by_name = {parameter.name: parameter for parameter in spec.layout}
        for name, value in module.named_parameters():
            value.requires_grad_(by_name[name].trainable)
        optimizer = builders("optimizer", trainer.optimizer.type)(trainer.optimizer.config)
        return TorchEngine(spec, module, optimizer, trainer, device)

    def team(self, rank: int, size: int, local: int) -> TorchTeam:
        """See `loomlm.plugin.Trainer`."""
        return TorchTeam.meet(rank, size, local)


def _threads() -> tuple[int, str]:
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if beside == 1:
        return _cores(), "cores that this process may use"
    return max(1, _cores() // beside), f"a share of the cores for each of {beside} processes"


def _precision(device: str, backbone: Backbone) -> tuple[str, str]:
    if device.startswith("cuda"):
        # Older ones than Ampere can be made to compute in bf16, slowly.
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "fast on this GPU"
        return "fp32", "exact; this GPU has no bf16"
    # Sparse layers, which say that they are not worth all threads, gain nothing.
    large = backbone.width >= WIDE and backbone.threads is None
    if device == "cpu" and large and any(map(torch.cpu.get_capabilities().get, MULTIPLIES)):
        return "bf16", f"faster on this processor from a width of {WIDE} on"
    return "fp32", "exact, and as fast here"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
