"""Small whole models around a backbone, and batches as tasks make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import (
    Batch,
    FitContext,
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
class Whole:
    """A whole model on a backend with its parts. forward takes rows of tokens."""

    backend: str
    engine: Any
    recipe: Any
    tokenizer: Any
    layout: tuple[Parameter, ...]
    initial: Mapping[str, np.ndarray]

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

    def states(
        self, rows: Sequence[Sequence[int]], key: int | None = None, width: int | None = None
    ) -> np.ndarray:
        """What the backbone gives the head; with a key, under the dropout of that key."""
        arrays = self.batch(rows, width).arrays
        if self.backend == "torch":
            return _torch_states(self.backbone, arrays, key)
        return _tensorflow_states(self.backbone, arrays, key)

    def weights(self) -> dict[str, np.ndarray]:
        """By canonical name; those of the backbone without their first word."""
        state = self.engine.state("model")
        return {name.removeprefix("backbone."): np.array(value) for name, value in state}

    def set(self, weights: Mapping[str, np.ndarray]) -> None:
        """Put weights into the backbone."""
        named = {f"backbone.{name}": value for name, value in weights.items()}
        self.engine.load_state("model", named.items())

    def reset(self) -> None:
        """Go back to the initial weights, without memory of training."""
        self.engine.load_state("model", self.initial.items())
        fresh = [(n, np.zeros_like(array)) for n, array in self.engine.state("optimizer")]
        self.engine.load_state("optimizer", fresh)

    def learn(self, *microbatches: Batch, step: int, seed: int = 17) -> None:
        """One update."""
        context = StepContext(step=step, seed=seed, learning_rate=1e-2)
        self.engine.train_step(microbatches, context)

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
            self.learn(batch, step=step, seed=seed)
        return [np.array(value) for _, value in self.engine.state("model")]


def _torch_states(
    backbone: Any, arrays: Mapping[str, np.ndarray], key: int | None = None
) -> np.ndarray:
    import torch

    torch.manual_seed(key or 0)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        return backbone.train(key is not None)(tensors).numpy().copy()


def _tensorflow_states(
    backbone: Any, arrays: Mapping[str, np.ndarray], key: int | None = None
) -> np.ndarray:
    from loomlm_tensorflow.drawing import drawing
    from loomlm_tensorflow.framework import tf

    tensors = {name: tf.constant(array) for name, array in arrays.items()}
    with drawing(tf.constant([key or 0, 1], tf.uint32)):
        return backbone(tensors, training=key is not None).numpy()


def wider(parameter: Parameter) -> Parameter:
    if parameter.role == "vector":
        return evolve(parameter, init=Uniform(1.0))
    return evolve(parameter, init=Normal(1.0 if parameter.role == "embedding" else 0.3))


def engine_of(
    registry: Registry,
    spec: ModelSpec,
    backend: str,
    compiled: bool = False,
    precision: Any = "fp32",
) -> Any:
    """An engine on the CPU, on one thread."""
    optimizer = registry.find("optimizer", "adamw").component.config()
    trainer = TrainerConfig(
        optimizer=Choice("optimizer", "adamw", optimizer),
        device="cpu",
        precision=precision,
        threads=1,
        compile=compiled,
    )
    component = registry.find("trainer", backend).component
    return component.load()(component.config()).engine(
        spec, trainer, lambda kind, name: registry.builder(kind, name, backend)
    )


def greedy(model, batch: Batch, count: int) -> list[list[int]]:
    """The tokens that a model adds to each row of a prompt, without any end."""
    running = Running(model.engine, model.recipe, batch, [model.tokenizer.pad_id])
    found: list[list[int]] = [[] for _ in running.tokens]
    for row, token in draw_tokens(running, None, Decoding(temperature=0, max_tokens=count)):
        found[row].append(token)
    return found
