"""A small causal backbone, as a plugin in one file: an embedding, dropout, a GRU."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

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


@frozen
class TinyConfig:
    """A GRU over an embedding."""

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
            parameter("gru.weight_ih_l0", (3 * width, width), "matrix"),
            parameter("gru.weight_hh_l0", (3 * width, width), "matrix"),
            parameter("gru.bias_ih_l0", (3 * width,), "vector"),
            parameter("gru.bias_hh_l0", (3 * width,), "vector"),
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


class TinyModule(nn.Module):
    """The module of a Tiny."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = spec.config
        self.reads = spec.head.reads
        self.embedding = nn.Embedding(spec.vocab_size, spec.config.width)
        self.gru = nn.GRU(spec.config.width, spec.config.width, batch_first=True)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        states, _ = self.gru(self._embed(batch["tokens"]))
        return states if self.reads == "tokens" else last(states, batch["length"])

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        states, _ = self.gru(self._embed(batch["tokens"]))
        state = last(states, batch["length"])
        return state, {"state": state}

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        states, _ = self.gru(self._embed(tokens[:, None]), cache["state"][None].contiguous())
        cache["state"] = states[:, 0]
        return states[:, 0]

    def _embed(self, tokens: Tensor) -> Tensor:
        return F.dropout(self.embedding(tokens), self.config.dropout, self.training)


def last(states: Tensor, length: Tensor) -> Tensor:
    """Of (batch, time, width), the state of each row's last token; of an empty row, the first's."""
    return states[torch.arange(len(states)), length.long().clamp(min=1) - 1]


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="tiny",
            summary="a GRU",
            target=f"{__name__}:Tiny",
            config=TinyConfig,
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [Builder(kind="backbone", name="tiny", backend="torch", target=f"{__name__}:TinyModule")]
