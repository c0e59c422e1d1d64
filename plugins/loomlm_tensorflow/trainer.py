"""The `tensorflow` backend: its devices, what it makes of "auto", and its engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

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
from loomlm_tensorflow.engine import TensorFlowEngine
from loomlm_tensorflow.framework import tf
from loomlm_tensorflow.model import build_model


@frozen
class TensorFlowTrainer:
    """See `loomlm.plugin.Trainer`."""

    config: NoConfig

    def devices(self) -> tuple[Device, ...]:
        found = [
            Device(name=f"cuda:{index}", description=_name(gpu))
            for index, gpu in enumerate(_gpus())
        ]
        return (*found, Device(name="cpu", description=f"{_cores()} cores"))

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
            fast = device.startswith("cuda") and _has_bf16(device)
            reason = "bf16 is fast on this GPU" if fast else "exact, and as fast here"
            resolved["precision"] = ("bf16" if fast else "fp32", reason)
        if trainer.compile == "auto":
            resolved["compile"] = (True, "XLA's steps are faster, after a first wait")
        if trainer.threads == "auto":
            resolved["threads"] = _threads(backbone)
        else:
            _set_threads(trainer.threads)
        return resolved

    def engine(
        self,
        spec: ModelSpec,
        trainer: TrainerConfig,
        builders: Callable[[str, str], Any],
    ) -> TensorFlowEngine:
        assert isinstance(trainer.threads, int)
        _set_threads(trainer.threads)
        optimizer = builders("optimizer", trainer.optimizer.type)(trainer.optimizer.config)
        device = _device(trainer.device)
        with tf.device(device):
            module = build_model(spec, builders("backbone", spec.backbone), trainer.precision)
            return TensorFlowEngine(spec, module, optimizer, trainer, device)


def _gpus() -> list[Any]:
    """The GPUs, told to take memory as it is needed: by default TensorFlow takes all of it."""
    gpus = tf.config.list_physical_devices("GPU")
    if not _started():
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    return gpus


def _started() -> bool:
    """Whether TensorFlow has taken its devices and threads: then they cannot be chosen any more."""
    context: Any = import_module("tensorflow.python.eager.context")
    return context.context()._initialized


def _set_threads(count: int) -> None:
    """Set how many CPU threads TensorFlow has, which a process can do once.

    Raises UsageError where it has others already.
    """
    if not _started():
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        return
    has = tf.config.threading.get_intra_op_parallelism_threads()
    if has != count:
        raise UsageError(
            f"TensorFlow works with {has or 'all'} threads in this process, and threads = {count} "
            f"is wanted: it can be set once, at the start. Set threads = {has or _cores()}, or use "
            "a process of its own."
        )


def _threads(backbone: Backbone) -> tuple[int, str]:
    if _started():
        has = tf.config.threading.get_intra_op_parallelism_threads()
        return has or _cores(), "those that TensorFlow has in this process"
    if backbone.threads is not None:
        return backbone.threads, "as many as the backbone's operations are worth"
    return _cores(), "cores that this process may use"


def _device(name: str) -> str:
    return name.replace("cuda", "/GPU").replace("cpu", "/CPU") + ("" if ":" in name else ":0")


def _name(gpu: Any) -> str:
    return tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")


def _has_bf16(device: str) -> bool:
    """Whether a GPU multiplies in bf16: Ampere and later."""
    index = int(device.partition(":")[2] or 0)
    details = tf.config.experimental.get_device_details(_gpus()[index])
    return details.get("compute_capability", (0, 0)) >= (8, 0)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
