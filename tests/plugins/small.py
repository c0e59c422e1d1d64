"""A small model with every form of parameter, and batches for it, without a framework."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from loomlm.contracts import Batch, BatchField, BatchSpec, Head, Loss, ModelSpec, Normal, Parameter

WORDS, WIDTH, TALL, LABELS = 20, 6, 9, 3


@frozen
class SmallConfig:
    """sparse: whether only the rows of `table` that a batch names are updated."""

    sparse: bool = True
    dropout: float = 0.0


def parameter(name: str, shape: tuple[int, ...], **more: Any) -> Parameter:
    form = {"role": "matrix", "decay": True, **more}
    return Parameter(name=name, shape=shape, init=Normal(0.5), **form)


def small_spec(config: SmallConfig, loss: Loss) -> ModelSpec:
    """A table of words, a matrix that is not trained, one that learns half as fast, and two pairs
    that are not square.
    """
    square = (WIDTH, WIDTH)
    return ModelSpec(
        backbone="small",
        config=config,
        vocab_size=WORDS,
        pad_id=0,
        layout=(
            parameter(
                "backbone.table.weight", (WORDS, WIDTH), role="embedding", sparse=config.sparse
            ),
            parameter("backbone.fixed.weight", square, trainable=False),
            parameter("backbone.slow.weight", square, learning_rate_scale=0.5),
            *(parameter(f"backbone.tall.{index}.weight", (TALL, WIDTH)) for index in range(2)),
            parameter("backbone.flat.0.weight", (WIDTH, TALL)),
            parameter("backbone.flat.1.weight", (WIDTH, TALL), decay=False),
            parameter("head.weight", (LABELS, WIDTH), role="head"),
            parameter("head.bias", (LABELS,), role="vector", decay=False),
        ),
        head=Head(outputs=LABELS, reads="sequence"),
        causal=False,
        loss=loss,
        batch=BatchSpec(
            (
                BatchField("tokens", "int32", ("batch", "time")),
                BatchField("label", "int32", ("batch",)),
                BatchField("weight", "float32", ("batch",)),
            ),
            (),
        ),
    )


def batch(number: int, size: int = 8, time: int = 5) -> Batch:
    """The batch of a number: half of the words, weights that differ."""
    generator = np.random.default_rng(number)
    words = generator.choice(WORDS, WORDS // 2, replace=False)
    return Batch(
        {
            "tokens": generator.choice(words, (size, time)).astype(np.int32),
            "label": generator.integers(0, LABELS, size).astype(np.int32),
            "weight": generator.uniform(0.5, 2, size).astype(np.float32),
        }
    )


def cut(whole: Batch, pieces: int) -> list[Batch]:
    """A batch in several microbatches."""
    arrays = {name: np.array_split(array, pieces) for name, array in whole.arrays.items()}
    return [Batch({name: arrays[name][i] for name in arrays}) for i in range(pieces)]


def state(engine: Any) -> dict[str, np.ndarray]:
    """Copies of a model's weights and of its optimizer's state."""
    parts = [*engine.state("model"), *engine.state("optimizer")]
    return {name: np.array(array) for name, array in parts}
