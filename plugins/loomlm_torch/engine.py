"""A model in PyTorch that trains: one update at a time, by the layout."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import numpy as np
import torch
from attrs import define, field
from torch import Tensor

from loomlm.plugin import Batch, ModelSpec, Parameter, StepContext, StepScalars, TrainerConfig
from loomlm_torch.model import Model, weighted_loss


@define
class TorchEngine:
    """See `loomlm.plugin.Engine`.

    optimizer: what the optimizer's builder made. Its state is one tensor a slot and parameter.
    """

    spec: ModelSpec
    module: Model
    optimizer: Any
    trainer: TrainerConfig
    device: torch.device
    _slots: dict[str, dict[str, Tensor]] = field(factory=dict)
    _pending: list[tuple[int, Tensor, Tensor, Tensor]] = field(factory=list)
    _parameters: list[tuple[Parameter, Tensor]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        values = dict(self.module.named_parameters())
        stored = [parameter for parameter in self.spec.layout if parameter.tied_to is None]
        self._parameters = [(parameter, values[parameter.name]) for parameter in stored]

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """One update; see the contract."""
        self.module.train()
        total = max(sum(float(batch["weight"].sum()) for batch in microbatches), 1e-12)
        loss = torch.zeros((), device=self.device)
        for index, batch in enumerate(microbatches):
            self._generator().manual_seed(_key(context.seed, context.step, index))
            tensors = self._tensors(batch)
            with self._precision():
                logits = self.module(tensors)
            part = weighted_loss(logits, tensors, self.spec.loss) / total
            part.backward()
            loss += part.detach()
        norm, masked = self._update(context, loss)
        self._pending.append((context.step, loss, norm, masked))

    def scalars(self) -> list[StepScalars]:
        """The scalars of the updates since the last call."""
        if not self._pending:
            return []
        steps = [step for step, *_ in self._pending]
        values = torch.stack([torch.stack(scalars) for _, *scalars in self._pending]).tolist()
        self._pending.clear()
        return [
            StepScalars(step=step, loss=loss, gradient_norm=norm, finite=masked == 0)
            for step, (loss, norm, masked) in zip(steps, values, strict=True)
        ]

    def forward(self, batch: Batch) -> np.ndarray:
        """Logits, dropout off."""
        return self._logits(self._tensors(batch)).float().cpu().numpy()

    def score(self, batch: Batch, logits: bool) -> tuple[float, np.ndarray | None]:
        """Sum of the weighted losses, and the logits where they are asked for; dropout off."""
        tensors = self._tensors(batch)
        found = self._logits(tensors)
        loss = float(weighted_loss(found, tensors, self.spec.loss))
        return loss, found.float().cpu().numpy() if logits else None

    def start(self, batch: Batch, room: int) -> tuple[dict[str, Tensor], np.ndarray]:
        """Read a prompt; see the contract. A cache is tensors by name, a row for each row."""
        with self._quiet():
            backbone: Any = self.module.backbone
            hidden, cache = backbone.start(self._tensors(batch), room)
            return cache, self.module.head(hidden).float().cpu().numpy()

    def step(self, cache: dict[str, Tensor], tokens: np.ndarray) -> np.ndarray:
        """Append a token to each row, and give the next one's logits."""
        with self._quiet():
            given = torch.from_numpy(tokens).to(self.device)
            backbone: Any = self.module.backbone
            hidden = backbone.step(cache, given)
            return self.module.head(hidden).float().cpu().numpy()

    def reorder(self, cache: dict[str, Tensor], rows: np.ndarray) -> dict[str, Tensor]:
        """A cache with these rows of another."""
        index = torch.from_numpy(rows).to(self.device)
        return {name: tensor.index_select(0, index) for name, tensor in cache.items()}

    def state(self, part: Literal["model", "optimizer"]) -> Iterator[tuple[str, np.ndarray]]:
        """Arrays by canonical name."""
        for parameter, value in self._parameters:
            if part == "model":
                yield parameter.name, value.detach().cpu().numpy()
            elif parameter.trainable:
                for slot, tensor in self._slot(parameter.name, value).items():
                    yield f"{parameter.name}.{slot}", tensor.cpu().numpy()

    @torch.no_grad()
    def load_state(
        self, part: Literal["model", "optimizer"], arrays: Iterable[tuple[str, np.ndarray]]
    ) -> None:
        """Copy arrays into the tensors of their names."""
        tensors: dict[str, Tensor] = {}
        for parameter, value in self._parameters:
            if part == "model":
                tensors[parameter.name] = value
            else:
                slots = self._slot(parameter.name, value)
                tensors |= {f"{parameter.name}.{slot}": t for slot, t in slots.items()}
        for name, array in arrays:
            tensors[name].copy_(torch.from_numpy(np.array(array)))

    def _slot(self, name: str, value: Tensor) -> dict[str, Tensor]:
        if name not in self._slots:
            self._slots[name] = {
                slot: torch.zeros_like(value, requires_grad=False) for slot in self.optimizer.slots
            }
        return self._slots[name]

    def _tensors(self, batch: Batch) -> dict[str, Tensor]:
        tensors = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        if self.device.type == "cpu":
            return tensors
        return {name: t.to(self.device, non_blocking=True) for name, t in tensors.items()}

    def _generator(self) -> torch.Generator:
        """What dropout on the device draws from; `torch.manual_seed` seeds every device's.

        For devices that are not in use it notes a stack trace, each time: a third of a small step.
        """
        if self.device.type == "cuda":
            return torch.cuda.default_generators[self.device.index or 0]
        if self.device.type == "mps":
            return torch.mps._get_default_mps_generator()
        return torch.default_generator

    def _precision(self) -> AbstractContextManager[Any]:
        enabled = self.trainer.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Dropout and gradients off."""
        self.module.eval()
        with torch.inference_mode(), self._precision():
            yield

    def _logits(self, tensors: Mapping[str, Tensor]) -> Tensor:
        with self._quiet():
            return self.module(tensors)

    def _update(self, context: StepContext, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Clip and update; gives the gradients' norm, and 1 where the update was masked."""
        moving = [
            _Moving(parameter, value, value.grad)
            for parameter, value in self._parameters
            if value.grad is not None
        ]
        norm = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(m.gradient.float()) for m in moving])
        )
        masked = (~(torch.isfinite(norm) & torch.isfinite(loss))).float()
        divisor = torch.ones((), device=self.device)
        if self.trainer.gradient_clip != "off":
            divisor = (norm / self.trainer.gradient_clip).clamp(min=1.0)
        groups: dict[tuple[bool, float], list[_Moving]] = defaultdict(list)
        for m in moving:
            groups[m.parameter.decay, m.parameter.learning_rate_scale].append(m)
        for (decay, scale), group in groups.items():
            self._update_group(group, context, scale, decay, divisor, masked)
        self.module.zero_grad(set_to_none=True)
        return norm, masked

    @torch.no_grad()
    def _update_group(
        self,
        group: list[_Moving],
        context: StepContext,
        scale: float,
        decay: bool,
        divisor: Tensor,
        masked: Tensor,
    ) -> None:
        """Gather the rows that learn, update them as whole tensors, put them back."""
        slots = [self._slot(m.parameter.name, m.value) for m in group]
        names = self.optimizer.slots
        values = [m.take(m.value.detach()) for m in group]
        taken = [
            [m.take(slot[name]) for m, slot in zip(group, slots, strict=True)] for name in names
        ]
        self.optimizer.update(
            values,
            [m.gradient for m in group],
            taken,
            context.step,
            context.learning_rate * scale,
            decay,
            divisor,
            masked,
        )
        for index, m in enumerate(group):
            m.put(m.value.detach(), values[index])
            for name, tensors in zip(names, taken, strict=True):
                m.put(slots[index][name], tensors[index])


@define(init=False)
class _Moving:
    """A parameter with its gradient: `rows` of it where the gradient is sparse, else all."""

    parameter: Parameter
    value: Tensor
    rows: Tensor | None
    gradient: Tensor

    def __init__(self, parameter: Parameter, value: Tensor, gradient: Tensor) -> None:
        self.parameter, self.value, self.rows, self.gradient = parameter, value, None, gradient
        if gradient.is_sparse:
            summed = gradient.coalesce()
            self.rows, self.gradient = summed.indices()[0], summed.values()

    def take(self, tensor: Tensor) -> Tensor:
        return tensor if self.rows is None else tensor.index_select(0, self.rows)

    def put(self, tensor: Tensor, new: Tensor) -> None:
        if self.rows is not None:
            tensor.index_copy_(0, self.rows, new)


def _key(seed: int, step: int, microbatch: int) -> int:
    """What dropout draws from: the modules draw in a fixed order, so each layer has its own."""
    digest = hashlib.blake2b(f"{seed}:{step}:{microbatch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
