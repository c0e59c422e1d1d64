"""A backbone that is right, and with each mistake that the conformance kit is to find.

It runs on PyTorch, and on PyTorch under other names, so that there are backends to compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    Builder,
    Component,
    Constant,
    FitContext,
    Fitted,
    ModelSpec,
    Parameter,
    Uniform,
    hookimpl,
    key,
)

OTHERS = ("torch_too", "torch_again")
"""PyTorch under other names."""


@frozen
class SumsConfig:
    """The mean of a token's embedding and those before it, then a layer."""

    mistake: str = key("what is wrong with it", "nothing")
    width: int = key("of the embedding and the states", 8)
    dropout: float = key("share of an embedding that is left out", 0.0)


@frozen
class Sums:
    """Framework-free: capabilities and layout."""

    config: SumsConfig

    longest = None
    tied = "embedding.weight"
    threads = 1

    @property
    def capabilities(self) -> frozenset[str]:
        fits = {"telepathy"} if self.config.mistake == "fits nothing" else {"tokens", "sequence"}
        return frozenset(fits | {"causal"})

    @property
    def width(self) -> int:
        return self.config.width

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        width, wrong = self.config.width, self.config.mistake == "another shape"
        table = (context.vocab_size, width)
        return (
            parameter("embedding.weight", table, role="embedding"),
            parameter("mix.weight", (width, width + wrong)),
            parameter("mix.bias", (width,), role="vector"),
            parameter("fixed", (width,), role="vector", trainable=False, init=Constant(1.0)),
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        kept = [one for one in spec.fields if one.name != "length"]
        dtype = "float64" if self.config.mistake == "another type" else "float32"
        return BatchSpec((*kept, BatchField("inside", dtype, ("batch", "time"))), spec.shapes)

    def prepare(self, batch: Batch) -> Batch:
        tokens, length = batch["tokens"], batch["length"]
        inside = np.arange(tokens.shape[1]) < length[:, None]
        arrays = {name: array for name, array in batch.arrays.items() if name != "length"}
        arrays["inside"] = inside.astype(np.float32)
        if self.config.mistake == "unstated array":
            arrays["length"] = length
        if self.config.mistake == "changes its input":
            tokens[:, 0] = 3
        if self.config.mistake == "draws in prepare":
            arrays["inside"] *= np.random.default_rng().uniform(0.5, 1)
        return Batch(arrays)

    def fit(self, context: FitContext) -> Fitted:
        return Fitted()


def parameter(name: str, shape: tuple[int, ...], role: Any = "matrix", **more: Any) -> Parameter:
    form = {"init": Uniform(shape[-1] ** -0.5), "decay": role == "matrix", **more}
    return Parameter(name=name, shape=shape, role=role, **form)


def torch_module(spec: ModelSpec) -> Any:
    """The module in PyTorch."""
    return _module(spec)


def other_module(spec: ModelSpec) -> Any:
    """The module of the last backend."""
    module = _module(spec)
    if spec.config.mistake == "another backend":
        module.factor = 1.001
    return module


def _module(spec: ModelSpec) -> Any:
    import torch
    import torch.nn.functional as F

    mistake = spec.config.mistake

    class Module(torch.nn.Module):
        factor = 1.0

        def __init__(self) -> None:
            super().__init__()
            width = spec.config.width
            self.embedding = torch.nn.Embedding(spec.vocab_size, width)
            self.mix = torch.nn.Linear(width, width, bias=mistake != "missing parameter")
            self.fixed = torch.nn.Parameter(torch.ones(width))
            if mistake == "unstated parameter":
                self.more = torch.nn.Parameter(torch.ones(width))
            self.register_buffer("seen", torch.zeros(width))
            self.own = torch.Generator().manual_seed(17)
            self.count = None

        def forward(self, batch):
            """(batch, time) tokens to (batch, time, width), or (batch, width)."""
            inside = batch["inside"][..., None]
            words = self.words(batch["tokens"])
            if mistake == "looks ahead":
                words = words + 0.1 * words.roll(-1, dims=1)
            if mistake == "among other rows":
                words = words - words.mean(dim=0)
            count = torch.arange(1, words.shape[1] + 1)[:, None]
            states = self.states(words.cumsum(dim=1) / count)
            if spec.head.reads == "tokens":
                return states[:, :-1] if mistake == "another place" else states
            if mistake == "mean over padding":
                return states.mean(dim=1)
            size = inside.sum(dim=1)
            size = size if mistake == "divides by nothing" else size.clamp(min=1)
            return (states * inside).sum(dim=1) / size

        def states(self, mean):
            weight, bias = self.mix.weight, self.mix.bias
            if mistake == "dead matrix":
                weight = weight.detach()
            if mistake == "running mean":
                if self.training:
                    self.seen.lerp_(mean.detach().flatten(0, -2).mean(dim=0), 0.5)
                mean = mean - self.seen
            return F.linear(mean, weight, bias).tanh() * self.fixed * self.factor

        def words(self, tokens):
            table = self.embedding.weight
            if mistake == "dead rows":
                table = torch.cat([table[:8], table[8:].detach()])
            words, share = F.embedding(tokens, table), spec.config.dropout
            if mistake == "drops in use" and share:
                return F.dropout(words, share, True)
            if not (self.training and share):
                return words
            if mistake == "own generator":
                kept = torch.rand(words.shape, generator=self.own) >= share
            elif mistake == "global generator":
                kept = torch.from_numpy(np.random.uniform(size=words.shape) >= share)
            elif mistake == "same for every seed":
                kept = torch.rand(words.shape, generator=self.own.manual_seed(17)) >= share
            else:
                return F.dropout(words, share)
            return words * kept / (1 - share)

        def start(self, batch, room):
            words, inside = self.words(batch["tokens"]), batch["inside"]
            total, count = (words * inside[..., None]).sum(dim=1), inside.sum(dim=1)
            cache = {"total": total, "count": count}
            if mistake == "outside of the cache":
                self.count = cache.pop("count")
            return self.states(total / count[:, None]), cache

        def step(self, cache, tokens):
            cache["total"] = cache["total"] + self.words(tokens)
            if mistake == "outside of the cache":
                self.count = self.count[torch.arange(len(tokens)) % len(self.count)] + 1
                return self.states(cache["total"] / self.count[:, None])
            if mistake != "forgets the place":
                cache["count"] = cache["count"] + 1
            return self.states(cache["total"] / cache["count"][:, None])

    return Module()


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="sums",
            summary="sums of embeddings",
            target=f"{__name__}:Sums",
            config=SumsConfig,
        )
    ]


@hookimpl
def loomlm_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name=name,
            summary="PyTorch under another name",
            target="loomlm_torch.trainer:TorchTrainer",
            requires=("torch",),
        )
        for name in OTHERS
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    modules = {
        "torch": "torch_module",
        "torch_too": "torch_module",
        "torch_again": "other_module",
    }
    return [
        *(
            Builder(kind="backbone", name="sums", backend=backend, target=f"{__name__}:{function}")
            for backend, function in modules.items()
        ),
        *(
            Builder(
                kind="optimizer",
                name="adamw",
                backend=backend,
                target="loomlm_torch.optimizers:AdamW",
            )
            for backend in OTHERS
        ),
    ]
