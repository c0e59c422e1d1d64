"""The mlp backbone as its component gives it, and batches as the classification task makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from attrs import frozen

from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import Backbone, Batch, FitContext, Ragged
from loomlm.registry import Registry

Mlp = Callable[..., Backbone]


@frozen
class Words:
    """A tokenizer whose words have the ids in their order."""

    words: Sequence[str]
    pad_id: int = 0

    @property
    def vocab_size(self) -> int:
        return len(self.words)

    def vocabulary(self) -> dict[str, int]:
        return {word: id_ for id_, word in enumerate(self.words)}


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture(scope="session")
def mlp(registry: Registry) -> Mlp:
    """Makes the backbone from keys of its config."""
    component = registry.find("backbone", "mlp").component

    def make(**keys: Any) -> Backbone:
        return component.load()(component.config(**keys))

    return make


def ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)])
    return Ragged(np.array([token for row in rows for token in row], np.int32), offsets)


def collated(rows: Sequence[Sequence[int]], width: int, height: int | None = None) -> Batch:
    """Texts as a task hands them to `prepare`, padded with 0."""
    height = height or len(rows)
    tokens = np.zeros((height, width), np.int32)
    length = np.zeros(height, np.int32)
    for row, text in enumerate(rows):
        tokens[row, : len(text)] = text
        length[row] = len(text)
    weight = (np.arange(height) < len(rows)).astype(np.float32)
    arrays = {"tokens": tokens, "length": length, "weight": weight}
    return Batch({**arrays, "label": np.zeros(height, np.int32)})


def fit_context(rows: Sequence[Sequence[int]], words: Sequence[str]) -> FitContext:
    tokenizer: Any = Words(words)
    return FitContext(tokenizer=tokenizer, tokens=ragged(rows), seed=17)


@pytest.fixture
def torch_engine(registry: Registry) -> Callable[..., Any]:
    """A whole model on PyTorch around a backbone, with initial and fitted weights."""
    pytest.importorskip("torch", reason="the backend is optional")
    from loomlm.models.initial import initial_arrays
    from loomlm.models.spec import model_spec

    def make(backbone: Any, context: FitContext, labels: int = 3) -> Any:
        task_component = registry.find("task", "classification").component
        task = task_component.load()(task_component.config())
        facts = {"labels": [str(i) for i in range(labels)], "counts": [1] * labels}
        batch = task.batch_spec(facts, [])
        spec = model_spec("mlp", backbone.config, backbone, task, facts, context.tokenizer, batch)
        optimizer = registry.find("optimizer", "adamw").component.config()
        trainer = TrainerConfig(
            optimizer=Choice("optimizer", "adamw", optimizer),
            device="cpu",
            precision="fp32",
            threads=1,
        )
        component = registry.find("trainer", "torch").component
        engine = component.load()(component.config()).engine(
            spec, trainer, lambda kind, name: registry.builder(kind, name, "torch")
        )
        engine.load_state("model", initial_arrays(spec.layout, 17, backbone.fit(context)))
        return engine

    return make
