"""A model in TensorFlow that trains: one update at a time, each one call of a traced function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from attrs import define, field

from loomlm.plugin import Batch, ModelSpec, StepContext, StepScalars, TrainerConfig
from loomlm_tensorflow.accumulating import accumulated
from loomlm_tensorflow.chunked import LARGE, chunked_loss, fits
from loomlm_tensorflow.drawing import drawing, reseed
from loomlm_tensorflow.framework import reproducible, tf
from loomlm_tensorflow.mapping import Stored, stored
from loomlm_tensorflow.model import Model, Tensors, loss_by_parts, weighted_loss
from loomlm_tensorflow.shapes import kept_shapes, padded, stacked
from loomlm_tensorflow.updates import LossScale, Updates

Tensor = Any
Cache = dict[str, Any]


@define
class TensorFlowEngine:
    """See `loomlm.plugin.Engine`.

    optimizer: what the optimizer's builder made. device: as TensorFlow calls it.
    """

    spec: ModelSpec
    module: Model
    optimizer: Any
    trainer: TrainerConfig
    device: str
    _pending: list[tuple[int, Tensor]] = field(factory=list)
    _stored: list[Stored] = field(init=False)
    _updates: Updates = field(init=False)
    _seeds: list[Any] = field(init=False)
    _shapes: list[Mapping[str, int]] = field(init=False)
    _step: Any = field(init=False)
    _functions: dict[Any, Any] = field(factory=dict)
    _begun: bool = False

    def __attrs_post_init__(self) -> None:
        self._stored = stored(self.module, self.spec.layout)
        scale = LossScale.start() if self.trainer.precision == "fp16" else None
        trained = [one for one in self._stored if one.parameter.trainable]
        self._updates = Updates(trained, self.optimizer, self.trainer, scale)
        kept = {id(weight) for weight in self.module.weights}
        self._seeds = [v.value for v in self.module.variables if id(v) not in kept]
        self._shapes = kept_shapes(self.spec.batch.shapes)
        self._step = tf.function(
            self._traced_step, jit_compile=self.trainer.compile is True, autograph=False
        )

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """One update; see the contract."""
        if not self._begun:
            self._begin()
        total = max(sum(float(batch["weight"].sum()) for batch in microbatches), 1e-12)
        fields = self.spec.batch.fields
        microbatches = [padded(batch, fields, self._shapes) for batch in microbatches]
        arrays = stacked(microbatches, self.trainer.accumulate)
        decay = 1.0 if self.trainer.ema is None else self.trainer.ema_at(context.step)
        keys = [_key(context.seed, context.step, i) for i in range(len(arrays["weight"]))]
        with self._place():
            scalars = self._step(
                {name: tf.constant(array) for name, array in arrays.items()},
                tf.constant(np.array(keys, np.uint32)),
                tf.constant([total, context.step, context.learning_rate, decay], tf.float64),
            )
        self._pending.append((context.step, scalars))

    def _begin(self) -> None:
        """What the first step needs, and a model that only predicts does not."""
        self._begun = True
        with self._place():
            self._updates.prepare()

    def scalars(self) -> list[StepScalars]:
        """The scalars of the updates since the last call."""
        found = [(step, *values.numpy().tolist()) for step, values in self._pending]
        self._pending.clear()
        return [
            StepScalars(step=step, loss=loss, gradient_norm=norm, finite=lost == 0)
            for step, loss, norm, lost in found
        ]

    def forward(self, batch: Batch) -> np.ndarray:
        """Logits, dropout off."""
        return self._call(self._logits, dict(batch.arrays)).numpy()

    def score(self, batch: Batch, logits: bool) -> tuple[float, np.ndarray | None]:
        """Sum of the weighted plain losses, and the logits where they are wanted; dropout off."""
        by_parts = self.spec.head.reads == "tokens" and self.spec.loss.kind == "cross_entropy"
        if not logits and by_parts:
            return float(self._call(self._loss_by_parts, dict(batch.arrays))), None
        loss, found = self._call(self._loss_and_logits, dict(batch.arrays))
        return float(loss), found.numpy() if logits else None

    def start(self, batch: Batch, room: int) -> tuple[Cache, np.ndarray]:
        """Read a prompt; see the contract. A cache is tensors by name, a row for each row."""
        cache, logits = self._call(self._traced_start, dict(batch.arrays), np.int32(room))
        return cache, logits.numpy()

    def step(self, cache: Cache, tokens: np.ndarray) -> np.ndarray:
        """Append a token to each row, and give the next one's logits."""
        new, logits = self._call(self._traced_append, dict(cache), tokens)
        cache.update(new)
        return logits.numpy()

    def reorder(self, cache: Cache, rows: np.ndarray) -> Cache:
        """A cache with these rows of another."""
        with tf.device(self.device):
            return {name: tf.gather(tensor, rows) for name, tensor in cache.items()}

    def state(self, part: Literal["model", "optimizer"]) -> Iterator[tuple[str, np.ndarray]]:
        """Arrays by canonical name."""
        for name, variable, form in self._state(part):
            array = variable.numpy()
            yield name, array if form is None else form.turned(array)

    def load_state(
        self, part: Literal["model", "optimizer"], arrays: Iterable[tuple[str, np.ndarray]]
    ) -> None:
        """Put arrays into the variables of their names."""
        found = {name: (variable, form) for name, variable, form in self._state(part)}
        for name, array in arrays:
            variable, form = found[name]
            variable.assign(array if form is None else form.turned(np.asarray(array)))

    @property
    def traces(self) -> int:
        """How often the step was traced: once for each shape of a batch."""
        return self._step.experimental_get_tracing_count()

    def _state(self, part: Literal["model", "optimizer"]) -> Iterable[tuple[str, Any, Any]]:
        if part == "optimizer":
            return self._updates.tensors()
        return [(one.name, one.variable, one.form) for one in self._stored]

    def _traced_step(self, arrays: Tensors, keys: Tensor, numbers: Tensor) -> Tensor:
        """One update from microbatches, (microbatches, rows, ...); loss, norm and lost in one.

        numbers: the sum of the weights, the step, the learning rate, and the decay of the moving
        average, in float64.
        """
        total, rate = tf.cast(numbers[0], tf.float32), tf.cast(numbers[2], tf.float32)
        decay = tf.cast(numbers[3], tf.float32)

        def microbatch(index: int | Tensor) -> tuple[Tensor, list[Tensor | None]]:
            batch = {name: array[index] for name, array in arrays.items()}
            return self._gradients(batch, keys[index], total)

        loss, gradients = accumulated(microbatch, keys.shape[0])
        norm, lost = self._updates.apply(gradients, loss, numbers[1], rate, decay)
        return tf.stack([loss, norm, lost])

    def _gradients(
        self, batch: Tensors, key: Tensor, total: Tensor
    ) -> tuple[Tensor, list[Tensor | None]]:
        """A microbatch's part of the loss, and its gradients, sparse for sparse parameters."""
        variables = [one.variable for one in self._updates.parameters]
        reseed(self._seeds, key)
        with tf.GradientTape() as tape, drawing(key):
            loss = self._loss(self.module.states(batch, training=True), batch) / total
            scaled = self._updates.scaled(loss)
        found = tape.gradient(scaled, variables)
        sparse = [one.parameter.sparse for one in self._updates.parameters]
        return loss, [
            gradient if keep or gradient is None else tf.convert_to_tensor(gradient)
            for keep, gradient in zip(sparse, found, strict=True)
        ]

    def _loss(self, hidden: Tensor, batch: Tensors) -> Tensor:
        head, loss = self.module.head, self.spec.loss
        rows = hidden.shape[:-1].num_elements()
        large = rows is not None and rows * self.spec.head.outputs > LARGE
        if large and fits(head, loss, self.trainer.precision):
            return chunked_loss(head, hidden, batch, loss)
        return weighted_loss(head(hidden), batch, loss)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function of arrays, traced once, whatever the arrays' sizes."""
        tensors = tf.nest.map_structure(tf.convert_to_tensor, args)
        form = (function.__name__, *(tuple(a) if isinstance(a, dict) else () for a in args))
        made = self._functions.get(form)
        with self._place():
            if made is None:
                specs = tf.nest.map_structure(
                    lambda tensor: tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype), tensors
                )
                made = tf.function(function, autograph=False).get_concrete_function(*specs)
                self._functions[form] = made
            return made(*tensors)

    @contextmanager
    def _place(self) -> Iterator[None]:
        with tf.device(self.device), reproducible(self.trainer.determinism == "exact"):
            yield

    def _hidden(self, batch: Tensors) -> Tensor:
        return self.module.states(batch, training=False)

    def _logits(self, batch: Tensors) -> Tensor:
        return tf.cast(self.module.head(self._hidden(batch)), tf.float32)

    def _loss_and_logits(self, batch: Tensors) -> tuple[Tensor, Tensor]:
        logits = self._logits(batch)
        return weighted_loss(logits, batch, self.spec.loss.plain), logits

    def _loss_by_parts(self, batch: Tensors) -> Tensor:
        outputs, loss = self.spec.head.outputs, self.spec.loss.plain
        return loss_by_parts(self.module.head, self._hidden(batch), batch, loss, outputs)

    def _traced_start(self, batch: Tensors, room: Tensor) -> tuple[Cache, Tensor]:
        hidden, cache = self.module.backbone.start(batch, room)
        return cache, tf.cast(self.module.head(hidden), tf.float32)

    def _traced_append(self, cache: Mapping[str, Tensor], tokens: Tensor) -> tuple[Cache, Tensor]:
        hidden, new = self.module.backbone.step(cache, tokens)
        return new, tf.cast(self.module.head(hidden), tf.float32)


def _key(seed: int, step: int, microbatch: int) -> list[int]:
    """What dropout draws from: the layers draw in a fixed order, so each has its own."""
    digest = hashlib.blake2b(f"{seed}:{step}:{microbatch}".encode(), digest_size=8).digest()
    return [int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")]
