"""A small model with every form of parameter, and batches for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from loomlm.components import NoConfig
from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import Batch, BatchSpec, Fitted, Head, Loss, ModelSpec, Normal, Parameter
from loomlm.models.initial import initial_arrays
from loomlm.registry import Registry
from loomlm_torch.engine import TorchEngine
from loomlm_torch.trainer import TorchTrainer

WORDS, WIDTH, TALL, LABELS = 20, 6, 9, 3


@frozen
class SmallConfig:
    """sparse: whether only the rows of `table` that a batch names are updated."""

    sparse: bool = True
    dropout: float = 0.0


class Small(nn.Module):
    """A table of words, a matrix that is not trained, one that learns half as fast, and two pairs
    that are not square.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = spec.config
        self.table = nn.Embedding(WORDS, WIDTH, sparse=spec.config.sparse)
        self.fixed = nn.Linear(WIDTH, WIDTH, bias=False)
        self.slow = nn.Linear(WIDTH, WIDTH, bias=False)
        self.tall = nn.ModuleList(nn.Linear(WIDTH, TALL, bias=False) for _ in range(2))
        self.flat = nn.ModuleList(nn.Linear(TALL, WIDTH, bias=False) for _ in range(2))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(batch, time) tokens to (batch, width)."""
        mean = self.table(batch["tokens"]).mean(dim=1)
        mean = F.dropout(mean, self.config.dropout, self.training)
        hidden = self.slow(self.fixed(mean).tanh())
        for tall, flat in zip(self.tall, self.flat, strict=True):
            hidden = hidden + flat(tall(hidden).tanh())
        return hidden


def parameter(name: str, shape: tuple[int, ...], **more: Any) -> Parameter:
    form = {"role": "matrix", "decay": True, **more}
    return Parameter(name=name, shape=shape, init=Normal(0.5), **form)


def spec(config: SmallConfig, loss: Loss) -> ModelSpec:
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
        batch=BatchSpec((), ()),
    )


MakeEngine = Callable[..., TorchEngine]


@pytest.fixture(scope="session")
def make_engine() -> MakeEngine:
    """An engine with initial weights; keyword arguments are keys of the trainer's config."""
    registry = Registry.load()

    def make(
        config: SmallConfig | None = None,
        optimizer: str = "adamw",
        optimizer_keys: Mapping[str, Any] | None = None,
        loss: Loss | None = None,
        **trainer: Any,
    ) -> TorchEngine:
        keys = registry.find("optimizer", optimizer).component.config(**(optimizer_keys or {}))
        settings = TrainerConfig(
            optimizer=Choice("optimizer", optimizer, keys),
            **{"precision": "fp32", "device": "cpu", "threads": 1, **trainer},
        )
        described = spec(config or SmallConfig(), loss or Loss(kind="cross_entropy"))

        def builders(kind: str, name: str) -> Any:
            return Small if kind == "backbone" else registry.builder(kind, name, "torch")

        engine = TorchTrainer(NoConfig()).engine(described, settings, builders)
        engine.load_state("model", initial_arrays(described.layout, 17, Fitted()))
        return engine

    return make


def batch(number: int, size: int = 8) -> Batch:
    """The batch of a number: half of the words, weights that differ."""
    generator = np.random.default_rng(number)
    words = generator.choice(WORDS, WORDS // 2, replace=False)
    return Batch(
        {
            "tokens": generator.choice(words, (size, 5)).astype(np.int32),
            "label": generator.integers(0, LABELS, size).astype(np.int32),
            "weight": generator.uniform(0.5, 2, size).astype(np.float32),
        }
    )


def cut(whole: Batch, pieces: int) -> list[Batch]:
    """A batch in several microbatches."""
    arrays = {name: np.array_split(array, pieces) for name, array in whole.arrays.items()}
    return [Batch({name: arrays[name][i] for name in arrays}) for i in range(pieces)]
