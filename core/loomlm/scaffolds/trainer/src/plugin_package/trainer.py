"""The backend: its devices, what it makes of "auto", and its engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from loomlm.plugin import Backbone, Device, ModelSpec, TrainerConfig, UsageError

from plugin_package import BackendConfig
from plugin_package.engine import NumpyEngine


@frozen
class Backend:
    """What the component's `target` names. See `loomlm.plugin.Trainer`."""

    config: BackendConfig

    def devices(self) -> tuple[Device, ...]:
        """What can be used here, the one that "auto" takes first."""
        return (Device(name="cpu", description="NumPy"),)

    def resolve(
        self, trainer: TrainerConfig, backbone: Backbone
    ) -> Mapping[str, tuple[Any, str]]:
        """What is taken for each key that is "auto", with the reason.

        The answers are written into the run's config, and read again where it goes on.
        Raises UsageError for what cannot be had.
        """
        here: Mapping[str, tuple[Any, str]] = {
            "device": ("cpu", "the only one of NumPy"),
            "precision": ("fp32", "the only one of this backend"),
            "compile": (False, "there is nothing to compile"),
            "threads": (1, "NumPy goes by its own settings"),
        }
        for name in ("device", "precision", "compile"):
            given, (known, _) = getattr(trainer, name), here[name]
            if given not in ("auto", known):
                raise UsageError(
                    f"trainer.{name} is {given!r}, and plugin_component has {known!r} "
                    "alone. Leave the key out, or take another backend."
                )
        return {
            name: answer
            for name, answer in here.items()
            if getattr(trainer, name) == "auto"
        }

    def engine(
        self,
        spec: ModelSpec,
        trainer: TrainerConfig,
        builders: Callable[[str, str], Any],
    ) -> NumpyEngine:
        """A model with weights that are yet to be put in (`Engine.load_state`)."""
        optimizer = trainer.optimizer
        return NumpyEngine(
            module=builders("backbone", spec.backbone)(spec, self.config.arithmetic),
            optimizer=builders("optimizer", optimizer.type)(optimizer.config),
            trainer=trainer,
        )
