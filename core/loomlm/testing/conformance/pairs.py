"""What a trainer is checked with: small models, each with an optimizer, and their engines.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from loomlm.contracts import Batch, Engine, Loss, ModelSpec, Trainer
from loomlm.errors import LoomlmError
from loomlm.testing.conformance.cases import Subject
from loomlm.testing.conformance.comparing import State, differing, held, put
from loomlm.testing.conformance.models import (
    Optimizer,
    SmallModel,
    optimizers,
    small_models,
    with_dropout,
)


@frozen
class Pair:
    """A model with an optimizer."""

    model: SmallModel
    optimizer: Optimizer
    _kept: dict[str, tuple[Engine, State]] = field(factory=dict, init=False, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.model}, {self.optimizer}"

    def engine(self, spec: ModelSpec | None = None, **keys: Any) -> Engine:
        """A new engine with initial weights; see `SmallModel.engine`."""
        return self.model.engine(self.optimizer.choice, spec, **keys)

    def begun(self) -> Engine:
        """An engine as a new one, which may have been used before: to make one may take seconds."""
        engine, start = self._kept.get("", (None, {}))
        if engine is not None:
            engine.scalars()
            put(engine, start)
        # What does not go back to its beginning is of no use here.
        if engine is None or differing(start, held(engine)):
            engine = self.engine()
            self._kept[""] = engine, held(engine)
        return engine


def pairs_of(subject: Subject) -> list[Pair]:
    """The first model with every optimizer, the others with the first; all with dropout.

    They are the same ones for the next check.
    """

    def make() -> list[Pair]:
        first, *rest = trained_models(subject, dropout=True)
        chosen = optimizers(subject.registry, subject.backend)
        return [Pair(first, one) for one in chosen] + [Pair(one, chosen[0]) for one in rest]

    key = (id(subject.registry), subject.component, repr(subject.keys), "pairs")
    return subject.shared.made(key, make)


def trained_models(
    subject: Subject, every: bool = False, dropout: bool = False
) -> list[SmallModel]:
    """For each kind of task the first backbone that the trainer builds and that can do it.

    every: for every trial of every task. dropout: with dropout, where the trainer builds that.
    Raises AssertionError where there is none.
    """
    registry, backend = subject.registry, subject.backend
    trainer: Trainer = registry.target("trainer", subject.component.name)(subject.config)
    built = registry.built_by(backend, "backbone")
    found: dict[Any, SmallModel] = {}
    for entry in registry.of("backbone"):
        component = entry.component
        if component.name in built and not component.missing():
            of = evolve(subject, component=component)
            for model in _that_it_builds(of, trainer, every, dropout):
                found.setdefault(str(model.trial) if every else model.needs, model)
    assert found, f"{backend} builds no backbone that an installed task fits"
    return list(found.values())


def _that_it_builds(
    backbone: Subject, trainer: Trainer, every: bool, dropout: bool
) -> list[SmallModel]:
    """A backbone with the first of its trials that a trainer takes, or with its defaults.

    A builder may refuse what it does not know.
    """
    for keys in (*backbone.component.trials.values(), {}):
        plain = evolve(backbone, keys=keys)
        for given in (with_dropout(plain), plain) if dropout else (plain,):
            try:
                models = small_models(given, trainer, every)
                for model in models:
                    model.engine()
            except LoomlmError:
                continue
            if models:
                return models
    return []


def weighted(batch: Batch) -> Batch:
    """A batch whose rows count unlike, and the last not at all."""
    weight = batch["weight"]
    drawn = np.random.default_rng(0).uniform(0.5, 2, weight.shape).astype(np.float32)
    drawn[-1] = 0
    return Batch({**batch.arrays, "weight": weight * drawn})


def cut(batch: Batch, pieces: int) -> list[Batch]:
    """A batch in several microbatches of as many rows."""
    arrays = {name: np.array_split(array, pieces) for name, array in batch.arrays.items()}
    return [Batch({name: parts[i] for name, parts in arrays.items()}) for i in range(pieces)]


def loss_of(logits: np.ndarray, batch: Mapping[str, np.ndarray], loss: Loss) -> float:
    """The sum of the weighted losses, in float64: what `loomlm.contracts.Loss` says."""
    logits, label = logits.astype(np.float64), batch["label"]
    share = loss.label_smoothing
    if loss.kind == "span":
        closed = np.where(batch["allowed"] > 0, 0, -np.inf)[..., None]
        odds = logits + closed - np.logaddexp.reduce(logits + closed, axis=1, keepdims=True)
        each = -np.take_along_axis(odds, label[:, None].astype(np.int64), axis=1)[:, 0].mean(axis=1)
    elif loss.kind == "cross_entropy":
        largest = logits.max(axis=-1, keepdims=True)
        odds = logits - largest
        odds -= np.log(np.exp(odds).sum(axis=-1, keepdims=True))
        named = np.take_along_axis(odds, label[..., None].astype(np.int64), axis=-1)[..., 0]
        each = -(1 - share) * named - share * odds.mean(axis=-1)
    elif loss.kind == "squared_error":
        each = np.square(logits[..., 0] - label)
    else:
        wanted = label * (1 - share) + share / 2
        each = (np.logaddexp(0, logits) - wanted * logits).mean(axis=-1)
    return float((each * batch["weight"]).sum())
