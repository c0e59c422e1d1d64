"""A model that trains: an update, an evaluation, and what a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NoReturn

import numpy as np
from attrs import define, field
from loomlm.plugin import (
    Batch,
    Parameter,
    StepContext,
    StepScalars,
    TrainerConfig,
    UsageError,
)

from plugin_package.model import Average

Part = Literal["model", "optimizer"]


@define
class NumpyEngine:
    """See `loomlm.plugin.Engine` for what each method promises."""

    module: Average
    optimizer: Any
    trainer: TrainerConfig
    slots: dict[str, dict[str, np.ndarray]] = field(init=False)
    pending: list[StepScalars] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.slots = {
            entry.name: {
                slot: np.zeros(entry.shape, np.float32)
                for slot in self.optimizer.slots(entry)
            }
            for entry in self._trainable()
        }

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """One update by all microbatches, however a batch was cut into them."""
        with np.errstate(all="ignore"):  # What is not finite is told by `finite`.
            self._learn(microbatches, context)

    def _learn(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        total = max(sum(float(b["weight"].sum()) for b in microbatches), 1e-12)
        parts = [self.module.gradients(batch) for batch in microbatches]
        loss = sum(part for part, _, _ in parts) / total
        rows = np.unique(np.concatenate([named for _, _, named in parts]))
        gradients = {
            entry.name: np.sum([found[entry.name] for _, found, _ in parts], 0) / total
            for entry in self._trainable()
        }
        norm = float(np.sqrt(sum((g**2).sum() for g in gradients.values())))
        finite = bool(np.isfinite(loss + norm))
        if finite:  # Otherwise the model stays as it is, and the run stops.
            clip = self.trainer.gradient_clip
            divisor = 1.0 if clip == "off" else max(1.0, norm / clip)
            for entry in self._trainable():
                self._update(entry, gradients[entry.name] / divisor, rows, context)
        self.pending.append(
            StepScalars(step=context.step, loss=loss, gradient_norm=norm, finite=finite)
        )

    def scalars(self) -> list[StepScalars]:
        """What the updates since the last call gave."""
        given, self.pending = self.pending, []
        return given

    def forward(self, batch: Batch) -> np.ndarray:
        """Logits (batch, outputs), float32."""
        return self.module.logits(batch).astype(np.float32)

    def score(self, batch: Batch, logits: bool) -> tuple[float, np.ndarray | None]:
        """The sum of the weighted losses, without label smoothing, and the logits."""
        found = self.module.logits(batch)
        loss, _ = self.module.loss(found, batch, self.module.spec.loss.plain)
        return loss, found.astype(np.float32) if logits else None

    def start(self, batch: Batch, room: int) -> NoReturn:
        """A backend whose models write reads a prompt here: a cache, and logits."""
        raise UsageError("plugin_component trains models that write no text.")

    def step(self, cache: Any, tokens: np.ndarray) -> NoReturn:
        """Such a backend appends a token to each row of a cache here."""
        raise UsageError("plugin_component trains models that write no text.")

    def reorder(self, cache: Any, rows: np.ndarray) -> NoReturn:
        """Such a backend takes some rows of a cache here."""
        raise UsageError("plugin_component trains models that write no text.")

    def state(self, part: Part) -> Iterator[tuple[str, np.ndarray]]:
        """Every array that a run must keep to go on, by its name on every backend."""
        yield from self._state(part).items()

    def load_state(self, part: Part, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
        """Take back what `state` gave, here or on another backend.

        Raises ValueError for an array of another shape, KeyError for an unknown name.
        """
        mine = self._state(part)
        for name, array in arrays:
            if array.shape != mine[name].shape:
                raise ValueError(f"{name} is {mine[name].shape}, not {array.shape}")
            mine[name][...] = array

    def _state(self, part: Part) -> dict[str, np.ndarray]:
        if part == "model":
            return self.module.values
        return {
            f"{name}.{slot}": array
            for name, slots in self.slots.items()
            for slot, array in slots.items()
        }

    def _trainable(self) -> list[Parameter]:
        return [entry for entry in self.module.spec.layout if entry.trainable]

    def _update(
        self,
        entry: Parameter,
        gradient: np.ndarray,
        rows: np.ndarray,
        context: StepContext,
    ) -> None:
        """Carry the rule out; on a sparse parameter, for the rows in the batch."""
        part = rows if entry.sparse else slice(None)
        value, kept = self.module.values[entry.name], self.slots[entry.name]
        slots = {slot: a[part].astype(gradient.dtype) for slot, a in kept.items()}
        value[part] = self.optimizer.update(
            value[part],
            gradient[part],
            slots,
            context.step,
            context.learning_rate * entry.learning_rate_scale,
            entry.decay,
        )
        for slot, array in slots.items():
            kept[slot][part] = array
