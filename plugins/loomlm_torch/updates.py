"""One update of a model: the gradients' norm, clipping, masking, and the optimizer's rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from attrs import define, field, frozen
from torch import Tensor
from torch.nn.utils import get_total_norm

from loomlm.plugin import Parameter, PluginError, StepContext, TrainerConfig


@frozen
class GroupContext:
    """What the update of a group of parameters goes by.

    learning_rate: with the group's own factor. decay: whether weight decay applies.
    precision: the model's arithmetic, as in the trainer's config.
    divisor: what gradients are divided by first. masked: 1 where nothing may change, else 0.
    """

    step: int
    learning_rate: float
    decay: bool
    precision: str
    divisor: Tensor
    masked: Tensor


@define
class LossScale:
    """What fp16 multiplies a loss by, so that small gradients are not lost (Micikevicius 2018).

    It is halved by an update whose gradient is not finite, which is left out, and doubled after
    2000 good ones in a row; `good` counts those. Both live on the device: nothing waits for them.
    """

    scale: Tensor
    good: Tensor

    @classmethod
    def start(cls, device: torch.device) -> LossScale:
        return cls(
            torch.full((), 2.0**16, device=device),
            torch.zeros((), dtype=torch.int32, device=device),
        )

    def adapt(self, masked: Tensor) -> None:
        """Follow an update, which was left out where `masked` is 1."""
        # The kernel of torch.amp.GradScaler, which itself waits for the device.
        torch._amp_update_scale_(  # pyright: ignore[reportPrivateImportUsage]
            self.scale, self.good, masked, 2.0, 0.5, 2000
        )

    def lost(self, masked: Tensor, loss: Tensor) -> Tensor:
        """1 where an update was left out and no smaller scale can help: call it after `adapt`.

        None helps where the loss itself is not finite: it was not scaled yet.
        """
        return masked * ((self.scale < 1) | ~torch.isfinite(loss))


@define(slots=False)
class Updates:
    """Updates the parameters that train, and holds the optimizer's state.

    The state is made when it is first asked for: a model that only predicts has none.
    """

    parameters: Sequence[tuple[Parameter, Tensor]]
    optimizer: Any
    trainer: TrainerConfig
    loss_scale: LossScale | None

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to those of the update."""
        self.scaled(loss).backward()

    def scaled(self, loss: Tensor) -> Tensor:
        """What of a loss is differentiated."""
        return loss if self.loss_scale is None else loss * self.loss_scale.scale

    @torch.no_grad()
    def add(self, gradients: Sequence[Tensor | None], copied: bool) -> None:
        """Add gradients, one for each parameter, to those of the update.

        copied: whether what they stand in is written over before the update.
        """
        pairs = [
            (value, gradient)
            for (_, value), gradient in zip(self.parameters, gradients, strict=True)
            if gradient is not None
        ]
        more = [(value.grad, gradient) for value, gradient in pairs if value.grad is not None]
        if more:
            sums, parts = map(list, zip(*more, strict=True))
            torch._foreach_add_(sums, parts)  # pyright: ignore[reportPrivateImportUsage]
        for value, gradient in pairs:
            if value.grad is None:
                value.grad = gradient.clone() if copied else gradient

    @torch.no_grad()
    def apply(self, context: StepContext, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Clip, update, forget the gradients.

        Gives the gradients' norm, and 1 where the update was masked for want of finite numbers;
        not for one that a smaller loss scale will mend.
        """
        averages = self._averages  # Made of the weights as they are before the first update.
        work = [(group, group.take()) for group in self._groups]
        gradients = [gradient for _, taken in work for gradient in taken.gradients]
        norm = get_total_norm(gradients)
        scale = self.loss_scale
        if scale is not None:
            norm = norm / scale.scale
        masked = (~torch.isfinite(norm + loss)).float()
        clip = self.trainer.gradient_clip
        divisor = torch.ones_like(norm) if clip == "off" else (norm / clip).clamp(min=1.0)
        if scale is not None:
            divisor = divisor * scale.scale
        for group, taken in work:
            told = GroupContext(
                context.step,
                context.learning_rate * group.scale,
                group.decay,
                self.trainer.precision,
                divisor,
                masked,
            )
            if taken.values:
                self.optimizer.update(taken.values, taken.gradients, taken.slots, told)
            taken.put()
        for _, value in self.parameters:
            value.grad = None
        if averages:
            weight = 1 - self.trainer.ema_at(context.step)
            values = [value for _, value in self.parameters]
            # One kernel for all, as torch.optim.swa_utils takes it.
            torch._foreach_lerp_(averages, values, weight)  # pyright: ignore[reportPrivateImportUsage]
        if scale is not None:
            scale.adapt(masked)
            masked = scale.lost(masked, loss)
        return norm, masked

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The state by name: `parameter.slot`, the loss scale's, the moving averages'."""
        for group in self._groups:
            for slot, tensors in group.slots.items():
                for name, tensor in zip(group.names, tensors, strict=True):
                    yield f"{name}.{slot}", tensor
        if self.loss_scale is not None:
            # Views of one number each: a checkpoint has no arrays without a dimension.
            yield "scaler.scale", self.loss_scale.scale.view(1)
            yield "scaler.good", self.loss_scale.good.view(1)
        for (parameter, _), average in zip(self.parameters, self._averages, strict=False):
            yield f"ema.{parameter.name}", average

    @cached_property
    def _averages(self) -> list[Tensor]:
        """The moving average of each parameter; none where none is kept."""
        if self.trainer.ema is None:
            return []
        return [value.detach().clone() for _, value in self.parameters]

    @cached_property
    def _groups(self) -> list[_Group]:
        groups: dict[Any, list[tuple[Parameter, Tensor]]] = defaultdict(list)
        for parameter, value in self.parameters:
            slots = slots_of(self.optimizer, parameter)
            groups[slots, parameter.decay, parameter.learning_rate_scale].append((parameter, value))
        return [
            _Group(
                decay,
                scale,
                [parameter.name for parameter, _ in members],
                [value for _, value in members],
                {
                    slot: [torch.zeros_like(value.detach()) for _, value in members]
                    for slot in slots
                },
            )
            for (slots, decay, scale), members in groups.items()
        ]


def slots_of(optimizer: Any, parameter: Parameter) -> tuple[str, ...]:
    """The names of a parameter's state, as an optimizer says.

    Raises PluginError for what is no such names, or no optimizer: a mistake of its author.
    """
    kind = type(optimizer).__name__
    for method in ("slots", "update"):
        if not callable(getattr(optimizer, method, None)):
            raise PluginError(
                f"The optimizer's builder gives {kind}, which has no method `{method}`. Wanted is "
                "a BuiltOptimizer (see loomlm.plugin)."
            )
    names = optimizer.slots(parameter)
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise PluginError(
            f"`slots` of the optimizer {kind} gives {names!r} for {parameter.name}. Wanted are the "
            'names of its state in a tuple, such as ("momentum",), or () where it has none.'
        )
    return tuple(names)


@define
class _Group:
    """Parameters that are updated in one call; `slots` has a tensor for each of them."""

    decay: bool
    scale: float
    names: list[str]
    values: list[Tensor]
    slots: dict[str, list[Tensor]]

    def take(self) -> _Taken:
        """What has a gradient; of a sparse one, the rows that it names."""
        gradients = [value.grad for value in self.values]
        if not any(gradient is None or gradient.is_sparse for gradient in gradients):
            return _Taken(self.values, gradients, self.slots)
        taken = _Taken([], [], {slot: [] for slot in self.slots})
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                slots = {slot: tensors[index] for slot, tensors in self.slots.items()}
                taken.add(self.values[index], gradient, slots)
        return taken


@define
class _Taken:
    """What takes part in an update, as whole tensors; `rows` has what must then be put back."""

    values: list[Tensor]
    gradients: list[Any]
    slots: dict[str, list[Tensor]]
    rows: list[tuple[Tensor, Tensor, Tensor]] = field(factory=list)

    def add(self, value: Tensor, gradient: Tensor, slots: dict[str, Tensor]) -> None:
        """Add a parameter, or the rows of it that a sparse gradient names."""
        if gradient.is_sparse:
            index, gradient = coalesced(gradient)
            value = self._gather(value, index)
            slots = {slot: self._gather(tensor, index) for slot, tensor in slots.items()}
        self.values.append(value)
        self.gradients.append(gradient)
        for slot, tensor in slots.items():
            self.slots[slot].append(tensor)

    def put(self) -> None:
        """Put the rows back."""
        for whole, index, part in self.rows:
            whole.index_copy_(0, index, part)

    def _gather(self, whole: Tensor, index: Tensor) -> Tensor:
        part = whole.index_select(0, index)
        self.rows.append((whole, index, part))
        return part


def coalesced(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that a sparse gradient names, each once, and their sums.

    Half the time of `Tensor.coalesce`, and as reproducible: each sum goes in the order of the rows.
    """
    named, order = in_order(gradient._indices()[0], len(gradient))
    rows, counts = torch.unique_consecutive(named, return_counts=True)
    parts = gradient._values().flatten(1)
    sums = F.embedding_bag(order, parts, counts.cumsum(0) - counts, mode="sum")
    return rows, sums.view(-1, *gradient.shape[1:])


def in_order(rows: Tensor, below: int) -> tuple[Tensor, Tensor]:
    """Row numbers (n,) in order, and where each stood, equal ones as they came; as a stable sort.

    below: more than the largest. NumPy sorts whole numbers with the processor's vectors, but says
    no places; so each number carries its own in its lower bits. Nine times as fast as PyTorch's for
    ten thousand rows (docs/benchmarks/notes.md).
    """
    bits = len(rows).bit_length()
    if rows.device.type != "cpu" or below.bit_length() + bits > 63:
        named, order = rows.sort(stable=True)
        return named, order
    keys = (rows << bits) | torch.arange(len(rows))
    keys.numpy().sort()
    return keys >> bits, keys & ((1 << bits) - 1)
