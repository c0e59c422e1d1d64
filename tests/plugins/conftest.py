"""Engines and whole models, small ones, on the backend that a test is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

import pytest

from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import Fitted, Loss
from loomlm.inference.scoring import Recipe
from loomlm.models.initial import initial_arrays
from loomlm.models.spec import model_spec
from loomlm.registry import Registry

from .small import SmallConfig, small_spec
from .whole import Whole, Words, engine_of, wider


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


@pytest.fixture(scope="session")
def make_backbone(registry: Registry) -> Callable[..., Any]:
    """Makes a backbone from its name and keys of its config."""

    def make(name: str, **keys: Any) -> Any:
        component = registry.find("backbone", name).component
        return component.load()(component.config(**keys))

    return make


@pytest.fixture
def small_model(
    registry: Registry, make_backbone: Callable[..., Any], backend: str
) -> Callable[..., Whole]:
    """Makes a model of 20 words, every weight drawn wide so that each has its say.

    widths: the sizes of a row that may come; any by default.
    """

    def make(
        name: str,
        task_name: str = "causal_lm",
        seed: int = 17,
        widths: Iterable[int] = (),
        compiled: bool = False,
        precision: str = "fp32",
        task_keys: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> Whole:
        component = registry.find("task", task_name).component
        task = component.load()(component.config(**(task_keys or {})))
        facts = {"labels": ["a", "b", "c"], "counts": [1] * 3, "outputs": 20}
        backbone = make_backbone(name, **keys)
        words: Any = Words([f"w{i}" for i in range(20)])
        batch = task.batch_spec(facts, [{"batch": 4, "time": width} for width in widths])
        spec = model_spec(name, backbone.config, backbone, task, facts, words, batch)
        engine = engine_of(registry, spec, backend, compiled, precision)
        wide = [wider(parameter) for parameter in spec.layout]
        initial = dict(initial_arrays(tuple(wide), seed, Fitted()))
        engine.load_state("model", initial.items())
        recipe = Recipe(task, backbone, facts)
        return Whole(backend, engine, recipe, words, spec.layout, initial)

    return make
