"""Engines of a small model, on the backend that a test is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest

from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import Fitted, Loss
from loomlm.models.initial import initial_arrays
from loomlm.registry import Registry

from .small import SmallConfig, small_spec


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture
def trainer(registry: Registry, backend: str) -> Any:
    """The backend's trainer."""
    component = registry.find("trainer", backend).component
    return component.load()(component.config())


@pytest.fixture
def builders(registry: Registry, backend: str) -> Callable[[str, str], Any]:
    """What builds the small model and its optimizers."""

    def find(kind: str, name: str) -> Any:
        if kind != "backbone":
            return registry.builder(kind, name, backend)
        return import_module(f".small_{backend}", __package__).Small

    return find


@pytest.fixture
def make_engine(
    registry: Registry, trainer: Any, builders: Callable[[str, str], Any]
) -> Callable[..., Any]:
    """An engine with initial weights; keyword arguments are keys of the trainer's config."""

    def make(
        config: SmallConfig | None = None,
        optimizer: str = "adamw",
        optimizer_keys: Mapping[str, Any] | None = None,
        loss: Loss | None = None,
        **trainer_keys: Any,
    ) -> Any:
        keys = registry.find("optimizer", optimizer).component.config(**(optimizer_keys or {}))
        settings = TrainerConfig(
            optimizer=Choice("optimizer", optimizer, keys),
            **{
                "precision": "fp32",
                "device": "cpu",
                "threads": 1,
                "compile": False,
                **trainer_keys,
            },
        )
        described = small_spec(config or SmallConfig(), loss or Loss(kind="cross_entropy"))
        engine = trainer.engine(described, settings, builders)
        engine.load_state("model", initial_arrays(described.layout, 17, Fitted()))
        return engine

    return make
