"""Backbones as their components give them, batches as tasks make them, and small whole models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen

from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import (
    Backbone,
    Batch,
    FitContext,
    Fitted,
    ModelSpec,
    Normal,
    Parameter,
    Ragged,
    StepContext,
    Uniform,
)
from loomlm.inference.decoding import Decoding
from loomlm.inference.generate import draw_tokens
from loomlm.inference.running import Running
from loomlm.registry import Registry

Mlp = Callable[..., Backbone]


@frozen
class Words:
    """A tokenizer whose words have the ids in their order."""

    words: Sequence[str]
    pad_id: int = 0
    unknown_id: int | None = None
    end_id: int | None = None

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


@pytest.fixture(scope="session")
def make_backbone(registry: Registry) -> Callable[..., Any]:
    """Makes a backbone from its name and keys of its config."""

    def make(name: str, **keys: Any) -> Any:
        component = registry.find("backbone", name).component
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


@frozen
class Small:
    """A whole model on PyTorch with its parts. forward takes rows of tokens."""

    engine: Any
    recipe: Any
    tokenizer: Any
    layout: tuple[Parameter, ...]

    @property
    def backbone(self) -> Any:
        """The module."""
        return self.engine.module.backbone

    def batch(self, rows: Sequence[Sequence[int]], width: int | None = None) -> Batch:
        """As the backbone's module reads it."""
        return self.recipe.backbone.prepare(collated(rows, width or max(map(len, rows))))

    def forward(self, rows: Sequence[Sequence[int]], width: int | None = None) -> np.ndarray:
        """Logits, dropout off."""
        return self.engine.forward(self.batch(rows, width))

    def greedy(self, rows: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """The likeliest tokens behind each row, as the core writes text."""
        from loomlm.inference.decoding import Decoding
        from loomlm.inference.generate import draw_tokens
        from loomlm.inference.running import Running

        whole = collated(rows, max(map(len, rows)))
        prompt = Batch({name: whole[name] for name in ("tokens", "length")})
        written: list[list[int]] = [[] for _ in rows]
        running = Running(self.engine, self.recipe, prompt, [])
        decoding = Decoding(temperature=0, max_tokens=count)
        for row, token in draw_tokens(running, None, decoding, 0):
            written[row].append(token)
        return written

    def trained(self, rows: Sequence[Sequence[int]], seed: int, steps: int = 1) -> list[np.ndarray]:
        """The weights after some steps on rows that all have one length."""
        tokens = np.array(rows, np.int32)
        per_token = self.recipe.task.stream
        shape = tokens.shape if per_token else tokens.shape[:1]
        label = tokens if per_token else tokens[:, 0] % self.engine.spec.head.outputs
        given = {"label": label, "weight": np.ones(shape, np.float32)}
        batch = self.recipe.backbone.prepare(
            Batch({**collated(rows, tokens.shape[1]).arrays, **given})
        )
        for step in range(1, steps + 1):
            self.engine.train_step([batch], StepContext(step=step, seed=seed, learning_rate=1e-2))
        return [np.array(value) for _, value in self.engine.state("model")]


@pytest.fixture(scope="session")
def small_model(registry: Registry, make_backbone: Callable[..., Any]) -> Callable[..., Small]:
    """Makes a model of 20 words, every weight drawn wide so that each has its say."""
    pytest.importorskip("torch", reason="the backend is optional")
    from loomlm.inference.scoring import Recipe
    from loomlm.models.initial import initial_arrays
    from loomlm.models.spec import model_spec

    def make(name: str, task_name: str = "causal_lm", seed: int = 17, **keys: Any) -> Small:
        component = registry.find("task", task_name).component
        task = component.load()(component.config())
        facts = {"labels": ["a", "b", "c"], "counts": [1] * 3, "outputs": 20}
        backbone = make_backbone(name, **keys)
        words: Any = Words([f"w{i}" for i in range(20)])
        batch = task.batch_spec(facts, [])
        spec = model_spec(name, backbone.config, backbone, task, facts, words, batch)
        engine = engine_of(registry, spec)
        wide = [_wider(parameter) for parameter in spec.layout]
        engine.load_state("model", initial_arrays(tuple(wide), seed, Fitted()))
        return Small(engine, Recipe(task, backbone, facts), words, spec.layout)

    return make


def _wider(parameter: Parameter) -> Parameter:
    if parameter.role == "vector":
        return evolve(parameter, init=Uniform(1.0))
    return evolve(parameter, init=Normal(1.0 if parameter.role == "embedding" else 0.3))


def engine_of(registry: Registry, spec: ModelSpec) -> Any:
    """An engine on the CPU, on one thread."""
    optimizer = registry.find("optimizer", "adamw").component.config()
    trainer = TrainerConfig(
        optimizer=Choice("optimizer", "adamw", optimizer),
        device="cpu",
        precision="fp32",
        threads=1,
    )
    component = registry.find("trainer", "torch").component
    return component.load()(component.config()).engine(
        spec, trainer, lambda kind, name: registry.builder(kind, name, "torch")
    )


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
        engine = engine_of(registry, spec)
        engine.load_state("model", initial_arrays(spec.layout, 17, backbone.fit(context)))
        return engine

    return make


def greedy(model, batch: Batch, count: int) -> list[list[int]]:
    """The tokens that a model adds to each row of a prompt, without any end."""
    running = Running(model.engine, model.recipe, batch, [model.tokenizer.pad_id])
    found: list[list[int]] = [[] for _ in running.tokens]
    for row, token in draw_tokens(running, None, Decoding(temperature=0, max_tokens=count), 0):
        found[row].append(token)
    return found
