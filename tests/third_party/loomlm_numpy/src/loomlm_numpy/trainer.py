"""The `numpy` backend: what it makes of "auto", what it refuses, and its engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from threadpoolctl import threadpool_limits

from loomlm.plugin import (
    Backbone,
    Device,
    ModelSpec,
    TrainerConfig,
    UsageError,
    did_you_mean,
)
from loomlm_numpy.config import NumpyConfig
from loomlm_numpy.engine import NumpyEngine
from loomlm_numpy.model import build_model


@frozen
class NumpyTrainer:
    """See `loomlm.plugin.Trainer`."""

    config: NumpyConfig

    def devices(self) -> tuple[Device, ...]:
        """The CPU: NumPy knows no other."""
        return (Device(name="cpu", description=f"{_cores()} cores"),)

    def resolve(self, trainer: TrainerConfig, backbone: Backbone) -> Mapping[str, tuple[Any, str]]:
        """Values for what is "auto". Raises UsageError for what NumPy cannot do."""
        _check(trainer)
        resolved: dict[str, tuple[Any, str]] = {}
        if trainer.device == "auto":
            resolved["device"] = ("cpu", "NumPy knows no other")
        if trainer.precision == "auto":
            resolved["precision"] = ("fp32", "NumPy computes in no other here")
        if trainer.compile == "auto":
            resolved["compile"] = (False, "NumPy compiles nothing")
        if trainer.threads == "auto":
            resolved["threads"] = (
                (backbone.threads, "as many as the backbone's operations are worth")
                if backbone.threads is not None
                else (_cores(), "cores that this process may use")
            )
        return resolved

    def engine(
        self,
        spec: ModelSpec,
        trainer: TrainerConfig,
        builders: Callable[[str, str], Any],
    ) -> NumpyEngine:
        """An engine; the threads are those of the matrix library, for the whole process."""
        assert isinstance(trainer.threads, int)
        if spec.loss.kind == "span":
            raise UsageError(
                "The backend numpy has no loss of spans, which the task wants. Take another "
                "backend: torch or tensorflow."
            )
        threadpool_limits(trainer.threads, user_api="blas")
        model = build_model(spec, builders("backbone", spec.backbone), self.config.logits_at_once)
        optimizer = builders("optimizer", trainer.optimizer.type)(trainer.optimizer.config)
        return NumpyEngine(spec, model, optimizer, trainer)


def _check(trainer: TrainerConfig) -> None:
    if trainer.device not in ("auto", "cpu"):
        raise UsageError(
            f"The backend numpy has no device {trainer.device!r}. "
            f"{did_you_mean(trainer.device, ['cpu'])} Another backend may have it."
        )
    if trainer.precision not in ("auto", "fp32"):
        raise UsageError(
            f"The backend numpy computes in fp32, not in {trainer.precision}. Set "
            'trainer.precision = "fp32", or take another backend.'
        )
    if trainer.compile is True:
        raise UsageError(
            "The backend numpy compiles nothing. Leave trainer.compile out, or set it to false."
        )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
