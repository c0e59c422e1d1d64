"""A model in NumPy that trains: one update at a time, by the layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, cast

import numpy as np
from attrs import define, field

from loomlm.plugin import Batch, ModelSpec, StepContext, StepScalars, TrainerConfig
from loomlm_numpy.layers import Array, Cache, KeyedDropout, WritingBackbone
from loomlm_numpy.model import NumpyModel
from loomlm_numpy.updates import NumpyOptimizer, Updates


@define
class NumpyEngine:
    """See `loomlm.plugin.Engine`."""

    spec: ModelSpec
    module: NumpyModel
    optimizer: NumpyOptimizer
    trainer: TrainerConfig
    _pending: list[StepScalars] = field(factory=list)
    _updates: Updates = field(init=False)
    _tied: dict[str, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        layout, clip = self.spec.layout, self.trainer.gradient_clip
        self._tied = {p.name: p.tied_to for p in layout if p.tied_to is not None}
        self._updates = Updates(
            {p.name: p for p in layout if p.trainable and p.tied_to is None},
            self.module.weights,
            self.optimizer,
            None if clip == "off" else clip,
        )

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """One update; see the contract."""
        total = max(sum(float(batch["weight"].sum()) for batch in microbatches), 1e-12)
        loss = 0.0
        # A number that is none is found by the update, which then changes nothing.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for index, batch in enumerate(microbatches):
                dropout = KeyedDropout(context.seed, context.step, index)
                part, gradients = self.module.learn(batch.arrays, total, dropout)
                loss += part
                for name, gradient in gradients.items():
                    self._updates.add({self._tied.get(name, name): gradient})
            norm, finite = self._updates.apply(context, loss)
        self._pending.append(
            StepScalars(step=context.step, loss=loss, gradient_norm=norm, finite=finite)
        )

    def scalars(self) -> list[StepScalars]:
        """The scalars of the updates since the last call."""
        found, self._pending = self._pending, []
        return found

    def forward(self, batch: Batch) -> Array:
        """Logits, dropout off."""
        return self.module(batch.arrays)

    def score(self, batch: Batch, logits: bool) -> tuple[float, Array | None]:
        """Sum of the weighted losses, and the logits where they are asked for; dropout off."""
        return self.module.score(batch.arrays, keep=logits)

    def start(self, batch: Batch, room: int) -> tuple[Cache, Array]:
        """Read a prompt; see the contract."""
        hidden, cache = self._writing.start(self.module.own, batch.arrays)
        return cache, self.module.logits(hidden)

    def step(self, cache: Cache, tokens: Array) -> Array:
        """Append a token to each row, and give the next one's logits."""
        hidden = self._writing.step(self.module.own, cache, tokens)
        return self.module.logits(hidden)

    def reorder(self, cache: Cache, rows: Array) -> Cache:
        """A cache with these rows of another."""
        return {name: array[rows] for name, array in cache.items()}

    def state(self, part: Literal["model", "optimizer"]) -> Iterator[tuple[str, Array]]:
        """Arrays by canonical name."""
        yield from self._state(part)

    def load_state(
        self,
        part: Literal["model", "optimizer"],
        arrays: Iterable[tuple[str, Array]],
    ) -> None:
        """Copy arrays into those of their names.

        Raises KeyError for a name that there is not, ValueError for another shape.
        """
        own = dict(self._state(part))
        for name, array in arrays:
            if array.shape != own[name].shape:
                raise ValueError(f"{name} has shape {own[name].shape}, not {array.shape}.")
            own[name][...] = array

    @property
    def _writing(self) -> WritingBackbone:
        """The backbone, as one that writes: the core asks no other to."""
        return cast(WritingBackbone, self.module.backbone)

    def _state(self, part: Literal["model", "optimizer"]) -> Iterable[tuple[str, Array]]:
        if part == "optimizer":
            return self._updates.arrays()
        stored = (name for name in self.module.weights if name not in self._tied)
        return ((name, self.module.weights[name]) for name in stored)
