"""One update of a model: the gradients' norm, clipping, masking, and the optimizer's rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from attrs import define, frozen

from loomlm.plugin import TrainerConfig
from loomlm_tensorflow.framework import tf
from loomlm_tensorflow.mapping import Stored
from loomlm_tensorflow.optimizing import slots_of, updated

Tensor = Any

ABSENT = -1
"""Where a sparse gradient names no row."""


@frozen
class GroupContext:
    """What the update of a group of parameters goes by.

    step: float64. learning_rate: with the group's own factor. decay: whether weight decay applies.
    precision: the model's arithmetic, as in the trainer's config.
    """

    step: Tensor
    learning_rate: Tensor
    decay: bool
    precision: str


@define
class LossScale:
    """What fp16 multiplies a loss by, so that small gradients are not lost (Micikevicius 2018).

    It is halved by an update whose gradient is not finite, which is left out, and doubled after
    2000 good ones in a row; `good` counts those. Both live on the device: nothing waits for them.
    """

    scale: Any
    good: Any

    @classmethod
    def start(cls) -> LossScale:
        return cls(tf.Variable([2.0**16]), tf.Variable(np.zeros(1, np.int32)))

    def adapt(self, masked: Tensor) -> None:
        """Follow an update, which was left out where `masked` is true."""
        good = tf.where(masked, 0, self.good + 1)
        grown = good >= 2000
        self.scale.assign(self.scale * tf.where(masked, 0.5, tf.where(grown, 2.0, 1.0)))
        self.good.assign(tf.where(grown, 0, good))

    def lost(self, masked: Tensor, loss: Tensor) -> Tensor:
        """Whether an update was left out and no smaller scale can help: call it after `adapt`.

        None helps where the loss itself is not finite: it was not scaled yet.
        """
        return masked & ((self.scale[0] < 1) | ~tf.math.is_finite(loss))


@define(slots=False)
class Updates:
    """Updates the parameters that train, and holds the optimizer's state.

    The state is made when it is first asked for: a model that only predicts has none.
    """

    parameters: Sequence[Stored]
    optimizer: Any
    trainer: TrainerConfig
    loss_scale: LossScale | None

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss as it is differentiated."""
        return loss if self.loss_scale is None else loss * self.loss_scale.scale[0]

    def apply(
        self,
        gradients: Sequence[Tensor | None],
        loss: Tensor,
        step: Tensor,
        rate: Tensor,
        decay: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Clip and update; gradients are one for each parameter, None where it took no part.

        decay: of the moving average, where one is kept.

        Gives the gradients' norm, and 1 where the update was masked for want of finite numbers;
        not for one that a smaller loss scale will mend.
        """
        taken = {
            stored.name: _taken(gradient, stored.variable.shape[0])
            for stored, gradient in zip(self.parameters, gradients, strict=True)
            if gradient is not None
        }
        squares = [tf.reduce_sum(tf.square(part.gradient)) for part in taken.values()]
        norm = tf.sqrt(tf.add_n(squares)) if squares else tf.zeros([])
        if self.loss_scale is not None:
            norm = norm / self.loss_scale.scale[0]
        masked = ~tf.math.is_finite(norm + loss)
        divisor = self._divisor(norm)
        for group in self._groups:
            self._update(group, taken, divisor, masked, step, rate)
        for average, stored in zip(self._averages, self.parameters, strict=False):
            average.assign(average + (1 - decay) * (stored.variable - average))
        if self.loss_scale is not None:
            self.loss_scale.adapt(masked)
            masked = self.loss_scale.lost(masked, loss)
        return norm, tf.cast(masked, tf.float32)

    def _divisor(self, norm: Tensor) -> Tensor:
        clip = self.trainer.gradient_clip
        divisor = tf.ones([]) if clip == "off" else tf.maximum(norm / clip, 1.0)
        return divisor if self.loss_scale is None else divisor * self.loss_scale.scale[0]

    def _update(
        self,
        group: _Group,
        taken: dict[str, _Taken],
        divisor: Tensor,
        masked: Tensor,
        step: Tensor,
        rate: Tensor,
    ) -> None:
        members = [
            (
                taken[stored.name],
                stored.variable,
                {slot: kept[i] for slot, kept in group.slots.items()},
            )
            for i, stored in enumerate(group.members)
            if stored.name in taken
        ]
        if not members:
            return
        told = GroupContext(step, rate * group.scale, group.decay, self.trainer.precision)
        old = [part.of(variable) for part, variable, _ in members]
        old_slots = {
            slot: [part.of(slots[slot]) for part, _, slots in members] for slot in group.slots
        }
        clipped = [part.gradient / divisor for part, _, _ in members]
        new, new_slots = updated(self.optimizer, old, clipped, old_slots, told)
        for i, (part, variable, slots) in enumerate(members):
            part.put(variable, old[i], new[i], masked)
            for slot, kept in slots.items():
                part.put(kept, old_slots[slot][i], new_slots[slot][i], masked)

    def tensors(self) -> Iterator[tuple[str, Any, Any]]:
        """The state: name (`parameter.slot`), variable, and the form that it is kept in."""
        for group in self._groups:
            for slot, variables in group.slots.items():
                for stored, variable in zip(group.members, variables, strict=True):
                    yield f"{stored.name}.{slot}", variable, stored.form
        if self.loss_scale is not None:
            yield "scaler.scale", self.loss_scale.scale, None
            yield "scaler.good", self.loss_scale.good, None
        for average, stored in zip(self._averages, self.parameters, strict=False):
            yield f"ema.{stored.name}", average, stored.form

    @cached_property
    def _averages(self) -> list[Any]:
        """The moving average of each parameter; none where none is kept."""
        if self.trainer.ema is None:
            return []
        return [tf.Variable(tf.convert_to_tensor(one.variable)) for one in self.parameters]

    @cached_property
    def _groups(self) -> list[_Group]:
        groups: dict[Any, list[Stored]] = defaultdict(list)
        for stored in self.parameters:
            parameter = stored.parameter
            slots = slots_of(self.optimizer, parameter)
            groups[slots, parameter.decay, parameter.learning_rate_scale].append(stored)
        return [
            _Group(
                decay,
                scale,
                members,
                {slot: [tf.Variable(tf.zeros_like(m.variable)) for m in members] for slot in slots},
            )
            for (slots, decay, scale), members in groups.items()
        ]

    def prepare(self) -> None:
        """Make the state: variables cannot be made within a traced step."""
        _ = self._groups, self._averages


@define
class _Group:
    """Parameters that are updated in one call; `slots` has a variable for each of them."""

    decay: bool
    scale: float
    members: list[Stored]
    slots: dict[str, list[Any]]


@define
class _Taken:
    """A gradient, and the rows that it is of where it is not of a whole parameter.

    rows: (n,), of which those that are not `first` are named before, and their gradient is 0.
    """

    gradient: Tensor
    rows: Tensor | None = None
    first: Tensor | None = None

    def of(self, variable: Any) -> Tensor:
        """What takes part of a variable."""
        if self.rows is None:
            return tf.convert_to_tensor(variable)
        # From the variable itself: behind a reading of all of it, an update that is not compiled
        # takes as long as the table is large (docs/benchmarks/notes.md).
        return tf.gather(variable, self.rows)

    def put(self, variable: Any, old: Tensor, new: Tensor, masked: Tensor) -> None:
        """Put new values in the old ones' place, unless the update is masked."""
        if self.rows is None:
            variable.assign(tf.where(masked, old, new))
            return
        # Added, so that rows which are named again do no harm: in place, where a table of all
        # values would be written anew.
        changes = self.first & ~masked
        change = tf.where(changes[:, None], new - old, 0.0)
        variable.scatter_nd_add(self.rows[:, None], change)


def _taken(gradient: Tensor, count: int) -> _Taken:
    """A gradient as it takes part: the rows that it names, each row's gradient summed once.

    The number of rows is that of the names, whatever they are: a compiled step needs that. Where a
    name stands first is found by writing each one's place into a table; sorting took three
    times as long.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return _Taken(gradient)
    rows = tf.cast(gradient.indices, tf.int32)
    names = rows.shape[0]
    places = tf.range(names)
    # The absent ones share a place behind the table's.
    table, own = tf.fill([count + 1], -1), tf.where(rows == ABSENT, count, rows)
    owner = tf.gather(tf.tensor_scatter_nd_max(table, own[:, None], places), own)
    sums = tf.math.unsorted_segment_sum(gradient.values, owner, names)
    first = (owner == places) & (rows != ABSENT)
    return _Taken(sums, tf.maximum(rows, 0), first)
