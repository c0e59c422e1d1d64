"""Backbones as their components give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loomlm.contracts import Backbone, FitContext
from loomlm.models.initial import initial_arrays
from loomlm.models.spec import model_spec
from loomlm.registry import Registry

from ..whole import engine_of

Mlp = Callable[..., Backbone]


@pytest.fixture(scope="session")
def mlp(registry: Registry) -> Mlp:
    """Makes the backbone from keys of its config."""
    component = registry.find("backbone", "mlp").component

    def make(**keys: Any) -> Backbone:
        return component.load()(component.config(**keys))

    return make


@pytest.fixture
def engine_around(registry: Registry, backend: str) -> Callable[..., Any]:
    """A whole model around a backbone, with initial and fitted weights."""

    def make(backbone: Any, context: FitContext, labels: int = 3) -> Any:
        task_component = registry.find("task", "classification").component
        task = task_component.load()(task_component.config())
        facts = {"labels": [str(i) for i in range(labels)], "counts": [1] * labels}
        batch = task.batch_spec(facts, [])
        spec = model_spec("mlp", backbone.config, backbone, task, facts, context.tokenizer, batch)
        engine = engine_of(registry, spec, backend)
        engine.load_state("model", initial_arrays(spec.layout, 17, backbone.fit(context)))
        return engine

    return make
