"""A small causal backbone, as a plugin in one file for two backends: a layer on the last words."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchSpec,
    Builder,
    Component,
    FitContext,
    Fitted,
    ModelSpec,
    Parameter,
    Uniform,
    hookimpl,
    key,
)

WORDS = 3


@frozen
class TinyConfig:
    """A layer on the embeddings of a token and the two before it."""

    width: int = key("of the embedding and the states", 32, minimum=1)
    dropout: float = key("share of an embedding that is dropped", 0.0, minimum=0, maximum=0.9)
    longest: int | None = key("the most tokens of a row", None)


@frozen
class Tiny:
    """Framework-free: capabilities and layout."""

    config: TinyConfig

    capabilities = frozenset({"tokens", "sequence", "causal"})
    tied = "embedding.weight"
    threads = 1

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def longest(self) -> int | None:
        return self.config.longest

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        width = self.config.width
        return (
            parameter("embedding.weight", (context.vocab_size, width), "embedding"),
            parameter("mix.weight", (width, WORDS * width), "matrix"),
            parameter("mix.bias", (width,), "vector"),
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        return spec

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def fit(self, context: FitContext) -> Fitted:
        return Fitted()


def parameter(name: str, shape: tuple[int, ...], role) -> Parameter:
    bound = shape[-1] ** -0.5
    return Parameter(name=name, shape=shape, init=Uniform(bound), role=role, decay=role == "matrix")


def torch_module(spec: ModelSpec) -> Any:
    """The module of a Tiny in PyTorch."""
    import torch
    import torch.nn.functional as F

    class TinyModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = spec.config.width
            self.embedding = torch.nn.Embedding(spec.vocab_size, width)
            self.mix = torch.nn.Linear(WORDS * width, width)

        def forward(self, batch):
            states = self.read(self.words(batch["tokens"]))
            return states if spec.head.reads == "tokens" else last(states, batch["length"])

        def start(self, batch, room):
            words, length = self.words(batch["tokens"]), batch["length"].long()
            rows = torch.arange(len(words), device=words.device)[:, None]
            place = length[:, None] + torch.arange(WORDS - 1, device=words.device)
            recent = words[rows, place]
            return last(self.read(words), length), {"recent": recent}

        def step(self, cache, tokens):
            words = torch.cat([cache["recent"], self.embedding(tokens)[:, None]], dim=1)
            cache["recent"] = words[:, 1:]
            return self.read(words)[:, 0]

        def words(self, tokens):
            """(batch, time) to (batch, time + 2, width), zeros in front."""
            words = F.dropout(self.embedding(tokens), spec.config.dropout, self.training)
            return F.pad(words, (0, 0, WORDS - 1, 0))

        def read(self, words):
            """(batch, time + 2, width) to (batch, time, width)."""
            return self.mix(words.unfold(1, WORDS, 1).mT.flatten(2)).tanh()

    def last(states, length):
        """The state of each row's last token; of an empty row, the first's."""
        rows = torch.arange(len(states), device=states.device)
        return states[rows, length.long().clamp(min=1) - 1]

    return TinyModule()


def tensorflow_module(spec: ModelSpec) -> Any:
    """The module of a Tiny in Keras."""
    import keras
    import tensorflow as tf

    class TinyModule(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="backbone")
            self.embedding = keras.layers.Embedding(spec.vocab_size, spec.config.width)
            self.dropout = keras.layers.Dropout(spec.config.dropout)
            self.mix = keras.layers.Dense(spec.config.width, activation="tanh")

        def call(self, batch, training=False):
            states = self.read(self.words(batch["tokens"], training))
            return states if spec.head.reads == "tokens" else last(states, batch["length"])

        def start(self, batch, room):
            words, length = self.words(batch["tokens"]), batch["length"]
            place = length[:, None] + tf.range(WORDS - 1)
            recent = tf.gather(words, place, axis=1, batch_dims=1)
            return last(self.read(words), length), {"recent": recent}

        def step(self, cache, tokens):
            words = tf.concat([cache["recent"], self.embedding(tokens)[:, None]], axis=1)
            return self.read(words)[:, 0], {"recent": words[:, 1:]}

        def words(self, tokens, training=False):
            """(batch, time) to (batch, time + 2, width), zeros in front."""
            words = self.dropout(self.embedding(tokens), training=training)
            return tf.pad(words, [[0, 0], [WORDS - 1, 0], [0, 0]])

        def read(self, words):
            """(batch, time + 2, width) to (batch, time, width)."""
            time = tf.shape(words)[1] - WORDS + 1
            return self.mix(tf.concat([words[:, i : i + time] for i in range(WORDS)], axis=-1))

    def last(states, length):
        """The state of each row's last token; of an empty row, the first's."""
        return tf.gather(states, tf.maximum(length, 1) - 1, axis=1, batch_dims=1)

    return TinyModule()


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="tiny",
            summary="a layer on three words",
            target=f"{__name__}:Tiny",
            config=TinyConfig,
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [
        Builder(
            kind="backbone",
            name="tiny",
            backend=backend,
            target=f"{__name__}:{backend}_module",
        )
        for backend in ("torch", "tensorflow")
    ]
