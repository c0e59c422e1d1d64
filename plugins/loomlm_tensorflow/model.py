"""A whole model: a backbone, a linear head, and the losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from loomlm.plugin import Loss, ModelSpec, Parameter, PluginError
from loomlm_tensorflow.drawing import sizes
from loomlm_tensorflow.framework import keras, tf
from loomlm_tensorflow.mapping import variable_of
from loomlm_tensorflow.pooling import inside

Tensor = Any
Tensors = Mapping[str, Any]

PART = 1 << 24
"""Logits at once, where all of them are not asked for: 64 MiB."""

ANSWERS = ("label", "weight", "allowed")
"""Arrays of a batch that no model reads."""

FAR = -1e9
"""What is added to a logit that is not to be: no infinity, of which the difference is no number."""

POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}
"""Of Keras; weights are float32 in each of them."""


class Model(keras.Model):
    """Backbone and head: a batch's arrays by name to logits, as a functional Keras model.

    It may be called with all arrays of a batch, or, where they follow from them, with tokens
    alone, (batch, time) int32, padded behind with the padding token.

    A backbone is a `keras.layers.Layer`. Its `call(batch, training)` takes a batch's tensors by
    name, and gives (batch, width) or (batch, time, width), as the head reads. One that generates
    has besides `start(batch, room) -> (hidden (batch, width), cache)`, the states behind each row's
    last token and tensors by name with a row for each row, and
    `step(cache, tokens (batch,)) -> (hidden, cache)`.
    """

    def __init__(self, spec: ModelSpec, backbone: Any) -> None:
        inputs = {
            field.name: keras.Input(
                tuple(size if isinstance(size, int) else None for size in field.shape[1:]),
                dtype=field.dtype,
                name=field.name,
            )
            for field in spec.batch.fields
            if field.name not in ANSWERS
        }
        # Keras would try the call to find what it builds, hide why that failed, and try again.
        backbone.built = True
        hidden = backbone(inputs)
        check_states(spec, tuple(hidden.shape))
        head = make_head(spec, backbone)
        at = AtPlaces(name="at_places") if spec.head.places else None
        states = hidden if at is None else at(hidden, inputs["places"])
        super().__init__(inputs=inputs, outputs=head(states), name="model")
        self.at = at
        self.names = tuple(inputs)
        self.pad_id = spec.pad_id
        self.backbone = backbone
        self.head = head

    def __call__(self, inputs: Any, *args: Any, **more: Any) -> Any:
        """Logits: (batch, outputs), or (batch, time, outputs)."""
        given = inputs if isinstance(inputs, Mapping) else self._from_tokens(inputs)
        if lacking := [name for name in self.names if name not in given]:
            raise ValueError(
                f"The model reads {', '.join(self.names)}; {', '.join(lacking)} is missing. "
                "`batch(texts)` of what `loomlm.load_model` gives makes them."
            )
        return super().__call__({name: given[name] for name in self.names}, *args, **more)

    def states(self, batch: Tensors, training: bool) -> Tensor:
        """What the head reads, (..., width)."""
        hidden = self.backbone(batch, training=training)
        return hidden if self.at is None else self.at(hidden, batch["places"])

    def _from_tokens(self, tokens: Any) -> dict[str, Any]:
        tokens = tf.convert_to_tensor(tokens)
        time = sizes(tokens)[1]
        place = tf.range(1, time + 1, dtype=tf.int32)
        length = tf.reduce_max(tf.where(tokens != self.pad_id, place, 0), axis=1)
        complete = getattr(self.backbone, "complete", dict)
        real = inside(length, time)
        # One document a row, where a row may hold several.
        segment = tf.cast(real, tf.int32)
        given = {"tokens": tokens, "length": length, "inside": real, "segment": segment}
        return complete(given)


class AtPlaces(keras.layers.Layer):
    """Some of the states of each row."""

    def call(self, hidden: Tensor, places: Tensor) -> Tensor:
        """(batch, time, width) and (batch, places) to (batch, places, width)."""
        return tf.gather(hidden, places, batch_dims=1)


def make_head(spec: ModelSpec, backbone: Any) -> Any:
    """The head's layer; one that is tied has the backbone's table for its matrix."""
    weight = next(p for p in spec.layout if p.name == "head.weight")
    if weight.tied_to is None:
        return keras.layers.Dense(spec.head.outputs, use_bias=spec.head.bias, name="head")
    return TiedHead(backbone, weight, spec.head.bias)


def check_states(spec: ModelSpec, shape: tuple[int | None, ...]) -> None:
    """Raises PluginError where a head cannot read what a backbone's module gives."""
    reads = ("batch", "time", "width") if spec.head.reads == "tokens" else ("batch", "width")
    width = next(p.shape[1] for p in spec.layout if p.name == "head.weight")
    if len(shape) != len(reads):
        raise PluginError(
            f"The head reads ({', '.join(reads)}), and the module of the backbone {spec.backbone} "
            f"gives states of {len(shape)} dimensions."
        )
    if shape[-1] not in (None, width):
        raise PluginError(
            f"The backbone {spec.backbone} says width {width}, and its module gives states of "
            f"width {shape[-1]}. Mend its `width`, or what the module gives."
        )


class TiedHead(keras.layers.Layer):
    """A linear layer whose matrix is an embedding table, (outputs, width)."""

    def __init__(self, backbone: Any, weight: Parameter, bias: bool) -> None:
        super().__init__(name="head")
        assert weight.tied_to is not None
        model = SimpleNamespace(backbone=backbone)
        self._table, _ = variable_of(model, weight.tied_to, weight.shape)
        self.bias = None
        if bias:
            self.bias = self.add_weight(name="bias", shape=self._table.shape[:1])

    @property
    def weight(self) -> Any:
        """The shared table."""
        return self._table

    def call(self, hidden: Tensor) -> Tensor:
        """(..., width) to (..., outputs)."""
        table = tf.cast(self._table, self.compute_dtype)
        logits = tf.linalg.matmul(hidden, table, transpose_b=True)
        return logits if self.bias is None else logits + tf.cast(self.bias, logits.dtype)


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Layers that are made within compute in a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_model(spec: ModelSpec, build: Callable[[ModelSpec], Any], precision: str) -> Model:
    """The Keras model of a spec."""
    with arithmetic(precision):
        return Model(spec, build(spec))


def weighted_loss(logits: Tensor, batch: Tensors, loss: Loss) -> Tensor:
    """Sum over the batch of weight times loss, in float32."""
    logits, weight = tf.cast(logits, tf.float32), batch["weight"]
    if loss.kind == "cross_entropy":
        each = _cross_entropy(logits, batch["label"], loss.label_smoothing)
        return tf.reduce_sum(each * weight)
    if loss.kind == "squared_error":
        return tf.reduce_sum(tf.square(logits[..., 0] - batch["label"]) * weight)
    if loss.kind == "span":
        closed = tf.where(batch["allowed"] > 0, 0.0, FAR)
        odds = tf.nn.log_softmax(tf.transpose(logits + closed[..., None], [0, 2, 1]))
        each = -tf.gather(odds, batch["label"], batch_dims=2)
        return tf.reduce_sum(tf.reduce_mean(each, axis=-1) * weight)
    label = batch["label"]
    smoothed = label * (1 - loss.label_smoothing) + loss.label_smoothing / 2
    each = tf.nn.sigmoid_cross_entropy_with_logits(smoothed, logits)
    return tf.reduce_sum(tf.reduce_mean(each, axis=-1) * weight)


def _cross_entropy(logits: Tensor, label: Tensor, smoothing: float) -> Tensor:
    # Not TensorFlow's own, which computes in another way where operations have been told to be
    # deterministic: an evaluation would not score as the run that trained the model did.
    odds = tf.nn.log_softmax(logits)
    each = -tf.gather(odds, label, batch_dims=logits.shape.rank - 1)
    if not smoothing:
        return each
    return (1 - smoothing) * each - smoothing * tf.reduce_mean(odds, axis=-1)


def loss_by_parts(head: Any, hidden: Tensor, batch: Tensors, loss: Loss, outputs: int) -> Tensor:
    """What `weighted_loss` says of a head that reads tokens, without all logits at once.

    hidden: (batch, time, width). 256 rows of 256 tokens, of a vocabulary of 16,000, would be 4 GB.
    """
    hidden = tf.reshape(hidden, [-1, hidden.shape[-1]])
    label, weight = (tf.reshape(batch[name], [-1]) for name in ("label", "weight"))
    size = max(1, PART // outputs)

    def add(at: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        part = {"label": label[at : at + size], "weight": weight[at : at + size]}
        return at + size, total + weighted_loss(head(hidden[at : at + size]), part, loss)

    count = tf.shape(hidden)[0]
    return tf.while_loop(lambda at, total: at < count, add, (0, 0.0))[1]
