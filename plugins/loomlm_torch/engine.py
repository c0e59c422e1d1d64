"""A model in PyTorch that trains: one update at a time, by the layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from attrs import define, field
from torch import Tensor

from loomlm.plugin import Batch, ModelSpec, StepContext, StepScalars, TrainerConfig
from loomlm_torch.compiling import compiled
from loomlm_torch.graphs import Graphs, capturable
from loomlm_torch.kernels import reproducible, whole_float32
from loomlm_torch.linear import adopt, reading
from loomlm_torch.model import (
    Model,
    arithmetic,
    loss_by_parts,
    loss_function,
    misfit,
    weighted_loss,
)
from loomlm_torch.packing import can_pack, packed
from loomlm_torch.summing import Sums
from loomlm_torch.trimming import trimmed
from loomlm_torch.updates import LossScale, Updates


@define
class TorchEngine:
    """See `loomlm.plugin.Engine`.

    optimizer: what the optimizer's builder made. Its state is one tensor a slot and parameter.
    sums: how gradients of several processes are summed; None where this one trains alone.
    _packed: the module as `packed` makes it, by its `single`, of weights that had been changed
    `_packed_at` times.
    """

    spec: ModelSpec
    module: Model
    optimizer: Any
    trainer: TrainerConfig
    device: torch.device
    sums: Sums | None = None
    _pending: list[tuple[int, Tensor, Tensor, Tensor]] = field(factory=list)
    _packed: dict[bool, Any] = field(factory=dict)
    _packed_at: int = -1
    _stored: list[tuple[str, Tensor]] = field(init=False)
    _updates: Updates = field(init=False)

    def __attrs_post_init__(self) -> None:
        values = dict(self.module.named_parameters())
        stored = [parameter for parameter in self.spec.layout if parameter.tied_to is None]
        self._stored = [(parameter.name, values[parameter.name]) for parameter in stored]
        self._updates = Updates(
            [(parameter, values[parameter.name]) for parameter in stored if parameter.trainable],
            self.optimizer,
            self.trainer,
            LossScale.start(self.device) if self.trainer.precision == "fp16" else None,
        )

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """One update; see the contract."""
        self._packed.clear()  # Out of date with this update, and as large as the model.
        if not self.module.training:
            self.module.train()
        trainer, device = self.trainer, self.device
        exact = trainer.determinism == "exact"
        with reproducible(exact, device), whole_float32(trainer.precision, device):
            self._update(microbatches, context)

    def _update(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        weights = max(sum(float(batch["weight"].sum()) for batch in microbatches), 1e-12)
        # Of a number on the host, the device would take the inverse.
        total = torch.full((), weights, device=self.device) if self._graphs else weights
        share = range(len(microbatches)) if context.share is None else context.share
        losses = []
        for index in share:
            self._generator().manual_seed(_key(context.seed, context.step, index))
            losses.append(self._pass(microbatches[index], total, context.step, len(share) > 1))
        if not losses:
            losses.append(torch.zeros((), device=self.device))
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        if context.share is not None:
            assert self.sums is not None
            loss = self.sums.over_all([value for _, value in self._updates.parameters], loss)
        norm, lost = self._updates.apply(context, loss)
        self._pending.append((context.step, loss, norm, lost))

    def _pass(self, batch: Batch, total: float | Tensor, step: int, several: bool) -> Tensor:
        """A microbatch's part of the loss. Its gradients are added to those of the update."""
        given = self._given(self._trimmed(batch))
        if self._graphs is not None and (graph := self._graphs.of(given, step)) is not None:
            assert isinstance(total, Tensor)
            loss, gradients = graph.replay(given, total)
            self._updates.add(gradients, copied=several)
            return loss
        tensors = self._there(given)
        try:
            part = self._training_loss(tensors) / total
        except (RuntimeError, ValueError) as error:
            self._explain(error, tensors)
            raise
        self._updates.backward(part)
        return part.detach()

    def scalars(self) -> list[StepScalars]:
        """The scalars of the updates since the last call."""
        if not self._pending:
            return []
        steps = [step for step, *_ in self._pending]
        values = torch.stack([torch.stack(scalars) for _, *scalars in self._pending]).tolist()
        self._pending.clear()
        return [
            StepScalars(step=step, loss=loss, gradient_norm=norm, finite=lost == 0)
            for step, (loss, norm, lost) in zip(steps, values, strict=True)
        ]

    def forward(self, batch: Batch) -> np.ndarray:
        """Logits, dropout off."""
        return self._logits(self._tensors(batch)).float().cpu().numpy()

    def score(self, batch: Batch, logits: bool) -> tuple[float, np.ndarray | None]:
        """Sum of the weighted plain losses, and the logits where they are wanted; dropout off."""
        tensors = self._tensors(batch)
        by_parts = self.spec.head.reads == "tokens" and self.spec.loss.kind == "cross_entropy"
        if not logits and by_parts:
            with self._quiet(tensors):
                return float(loss_by_parts(self.module, tensors, self.spec.loss.plain)), None
        found = self._logits(tensors)
        loss = float(weighted_loss(found, tensors, self.spec.loss.plain))
        return loss, found.float().cpu().numpy() if logits else None

    def start(self, batch: Batch, room: int) -> tuple[dict[str, Tensor], np.ndarray]:
        """Read a prompt; see the contract. A cache is tensors by name, a row for each row."""
        tensors = self._tensors(batch)
        changes = sum(value._version for _, value in self._stored)
        if changes != self._packed_at:
            self._packed.clear()
            self._packed_at = changes
        with self._quiet(tensors):
            backbone: Any = self.module.backbone
            hidden, cache = backbone.start(tensors, room)
            return cache, self.module.head(hidden).float().cpu().numpy()

    def step(self, cache: dict[str, Tensor], tokens: np.ndarray) -> np.ndarray:
        """Append a token to each row, and give the next one's logits."""
        with self._quiet({}):
            given = torch.from_numpy(tokens).to(self.device)
            model = self._for_steps(len(tokens))
            backbone: Any = model.backbone
            hidden = backbone.step(cache, given)
            return model.head(hidden).float().cpu().numpy()

    def _for_steps(self, rows: int) -> Model:
        """The module, or its like for steps of so many rows, made when it is first wanted."""
        precision = self.trainer.precision
        if not can_pack(precision, self.device):
            return self.module
        single = rows == 1 and precision == "fp32"
        if single not in self._packed:
            self._packed[single] = packed(self.module, precision, single)
        return self._packed[single]

    def reorder(self, cache: dict[str, Tensor], rows: np.ndarray) -> dict[str, Tensor]:
        """A cache with these rows of another."""
        index = torch.from_numpy(rows).to(self.device)
        return {name: tensor.index_select(0, index) for name, tensor in cache.items()}

    def state(self, part: Literal["model", "optimizer"]) -> Iterator[tuple[str, np.ndarray]]:
        """Arrays by canonical name."""
        for name, tensor in self.tensors(part):
            yield name, tensor.detach().cpu().numpy()

    @torch.no_grad()
    def load_state(
        self, part: Literal["model", "optimizer"], arrays: Iterable[tuple[str, np.ndarray]]
    ) -> None:
        """Copy arrays into the tensors of their names. Raises ValueError for another shape."""
        tensors = dict(self.tensors(part))
        for name, array in arrays:
            # `copy_` would repeat a single row.
            if tensors[name].shape != array.shape:
                shapes = f"{tuple(tensors[name].shape)}, and {array.shape} is given"
                raise ValueError(f"{name} has the shape {shapes}.")
            tensors[name].copy_(torch.from_numpy(np.array(array)))

    def tensors(self, part: Literal["model", "optimizer"]) -> Iterable[tuple[str, Tensor]]:
        """What `state` gives, as it stands on the device."""
        return self._stored if part == "model" else self._updates.tensors()

    def _trimmed(self, batch: Batch) -> Batch:
        """A batch of training without the padding that nothing here needs.

        On other devices than the CPU kernels like few widths, multiples of 8 among them.
        """
        static = self.trainer.compile is True or self.device.type != "cpu"
        return batch if static else trimmed(batch, self.spec.batch)

    def _tensors(self, batch: Batch) -> dict[str, Tensor]:
        return self._there(self._given(batch))

    def _given(self, batch: Batch) -> dict[str, Tensor]:
        """A batch's tensors on the host."""
        tensors = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        if self.device.type == "cuda":
            # From memory that may be paged out, a copy waits for all that the device has to do.
            return {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return tensors

    def _there(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.device.type == "cpu":
            return tensors
        return {name: t.to(self.device, non_blocking=True) for name, t in tensors.items()}

    def _generator(self) -> torch.Generator:
        """What dropout on the device draws from; `torch.manual_seed` seeds every device's.

        For devices that are not in use it notes a stack trace, each time: a third of a small step.
        """
        if self.device.type == "cuda":
            index = self.device.index
            return torch.cuda.default_generators[
                torch.cuda.current_device() if index is None else index
            ]
        if self.device.type == "mps":
            return torch.mps._get_default_mps_generator()
        return torch.default_generator

    @cached_property
    def _training_loss(self) -> Callable[[Mapping[str, Tensor]], Tensor]:
        """A batch's tensors to the sum of its weighted losses, dropout on."""
        adopt(self.module, self.device)
        loss = loss_function(self.module, self.spec.loss, self.trainer.precision, self.device)
        if self.trainer.compile is not True:
            return loss
        return compiled(loss, self.module, self.spec, self.trainer.determinism == "exact")

    @cached_property
    def _graphs(self) -> Graphs | None:
        """Captured passes, where the device and the model can have them."""
        if not capturable(self.spec, self.module, self.device):
            return None
        loss = self._training_loss
        return Graphs(
            self.spec.backbone,
            self.module,
            lambda tensors, total: loss(tensors) / total,
            self._updates.scaled,
            [value for _, value in self._updates.parameters],
            self.device,
        )

    @contextmanager
    def _quiet(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Dropout and gradients off. tensors: a batch that is read within."""
        # It walks through all modules: a third of a small step of generation.
        if self.module.training:
            self.module.eval()
        try:
            with (
                torch.inference_mode(),
                whole_float32(self.trainer.precision, self.device),
                arithmetic(self.trainer.precision, self.device),
                reading(tensors, self.trainer.precision, self.device),
            ):
                yield
        except RuntimeError as error:
            self._explain(error, tensors)
            raise

    def _explain(self, error: Exception, tensors: Mapping[str, Tensor]) -> None:
        """Raise PluginError where an error came of states that the head cannot read."""
        if isinstance(error, torch.OutOfMemoryError):
            return
        with arithmetic(self.trainer.precision, self.device):
            found = misfit(self.spec, self.module, tensors)
        if found is not None:
            raise found from None

    def _logits(self, tensors: Mapping[str, Tensor]) -> Tensor:
        with self._quiet(tensors):
            return self.module(tensors)


def _key(seed: int, step: int, microbatch: int) -> int:
    """What dropout draws from: the modules draw in a fixed order, so each layer has its own."""
    digest = hashlib.blake2b(f"{seed}:{step}:{microbatch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
