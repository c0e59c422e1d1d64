"""What makes a backbone of one's own module: its layout, its initial values, its generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch
from attrs import frozen
from torch import Tensor, nn

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    ModelSpec,
    Parameter,
    UsageError,
)
from loomlm_torch.modules import ModuleForm
from loomlm_torch.pooling import last, pool


@frozen
class ModuleBackbone:
    """See `loomlm.plugin.Backbone`."""

    form: ModuleForm
    config: Any

    tied = None
    threads = None

    @property
    def capabilities(self) -> frozenset[str]:
        order = "causal" if self.form.causal else "bidirectional"
        return frozenset({"sequence", "tokens", order})

    @property
    def width(self) -> int:
        return width_of(self.form, self.config)

    @property
    def longest(self) -> int | None:
        return self.form.longest

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        """The module's own; their initial values come from `fit`."""
        module = make(self.form, self.config, context.vocab_size, seed=0)
        _check(module, self.form.name)
        tables = {
            id(parameter)
            for part in module.modules()
            if isinstance(part, nn.Embedding | nn.EmbeddingBag)
            for parameter in part.parameters(recurse=False)
        }
        return tuple(
            _parameter(f"module.{name}", value, id(value) in tables)
            for name, value in module.named_parameters()
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        return spec

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def fit(self, context: FitContext) -> Fitted:
        """What the module starts with under the run's seed."""
        module = make(self.form, self.config, context.tokenizer.vocab_size, context.seed)
        values = {name: p.detach().float().numpy() for name, p in module.named_parameters()}
        rows = {f"module.{name}": (np.arange(len(v)), v) for name, v in values.items()}
        return Fitted(rows=rows)


class Wrapped(nn.Module):
    """A module as engines want it. Called with a form and a ModelSpec."""

    def __init__(self, form: ModuleForm, spec: ModelSpec) -> None:
        super().__init__()
        self.name, self.reads = form.name, spec.head.reads
        self.width = width_of(form, spec.config)
        self.module = make(form, spec.config, spec.vocab_size, seed=0)
        self.capturable = getattr(self.module, "capturable", False)

    @property
    def own(self) -> Any:
        """The module, with what it has besides."""
        return self.module

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences."""
        hidden = self._checked(self.module(batch), batch)
        if self.reads == "sequence" and hidden.ndim == 3:
            return pool(hidden, batch["length"], "mean")
        return hidden

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The module's own, or a cache of all tokens, (batch, room), that are read anew."""
        if hasattr(self.own, "start"):
            return self.own.start(batch, room)
        given, length = batch["tokens"], batch["length"].long()
        tokens = given.new_zeros(len(given), max(room, given.shape[1]))
        tokens[:, : given.shape[1]] = given
        cache = {"tokens": tokens, "length": length}
        return self._read(cache), cache

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """Append a token (batch,) to each row; its state (batch, width)."""
        if hasattr(self.own, "step"):
            return self.own.step(cache, tokens)
        rows = torch.arange(len(tokens), device=tokens.device)
        cache["tokens"][rows, cache["length"]] = tokens
        cache["length"] += 1
        return self._read(cache)

    def _read(self, cache: dict[str, Tensor]) -> Tensor:
        length = cache["length"]
        batch = {"tokens": cache["tokens"][:, : int(length.max())], "length": length}
        return last(self._checked(self.module(batch), batch), length)

    def _checked(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        rows, time = batch["tokens"].shape
        right: list[tuple[int, ...]] = [(rows, time, self.width)]
        if self.reads == "sequence":
            right.append((rows, self.width))
        if tuple(hidden.shape) not in right:
            raise UsageError(
                f"The module of the backbone {self.name!r} gives states of shape "
                f"{tuple(hidden.shape)} for tokens of shape {(rows, time)}; wanted is "
                f"{' or '.join(map(str, right))}. Mend its forward, or the width that was stated."
            )
        return hidden


def make(form: ModuleForm, config: Any, vocab_size: int, seed: int) -> nn.Module:
    """The module, with the values that it draws from a seed; other generators are left alone."""
    keys = attrs.asdict(config, recurse=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return form.module(vocab_size, **keys)


def width_of(form: ModuleForm, config: Any) -> int:
    """Of the hidden states: as stated, or the config's key."""
    if form.width is not None:
        return form.width
    if not hasattr(config, "width"):
        raise UsageError(
            f"The backbone {form.name!r} does not say how wide its states are. Give "
            "module_backbone(width=...), or a config with the key width."
        )
    return config.width


def _parameter(name: str, value: Tensor, table: bool) -> Parameter:
    vector = value.ndim < 2
    return Parameter(
        name=name,
        shape=tuple(value.shape),
        init=Constant(0.0),
        role="embedding" if table else "vector" if vector else "matrix",
        decay=not vector,
        trainable=value.requires_grad,
    )


def _check(module: nn.Module, name: str) -> None:
    """What training changes and no checkpoint keeps would be lost without a word."""
    kept = dict(module.named_parameters(remove_duplicate=False))
    for entry in module.state_dict():
        if entry not in kept:
            raise UsageError(
                f"The module of the backbone {name!r} has the buffer {entry!r}, which no "
                "checkpoint keeps. Make it a parameter, or, where it is the same each time, "
                "register it with persistent=False."
            )
    for entry, value in kept.items():
        if value.ndim == 0:
            raise UsageError(
                f"The module of the backbone {name!r} has the parameter {entry!r} without a "
                "dimension. Give it the shape (1,)."
            )
