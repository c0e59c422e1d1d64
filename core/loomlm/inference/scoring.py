"""Evaluates an engine on a split: streaming metrics and the mean loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.config.settings import Choice
from loomlm.contracts import (
    Backbone,
    Batch,
    Engine,
    Facts,
    Metric,
    MetricContext,
    Ragged,
    Task,
)
from loomlm.data.batches import bucket_widths, in_order
from loomlm.data.columns import ColumnStore
from loomlm.registry import Registry


@frozen
class Recipe:
    """How a stage makes batches: its task, its facts, and what the backbone adds."""

    task: Task
    backbone: Backbone
    facts: Facts

    def batch(self, store: ColumnStore, rows: np.ndarray, shape: Mapping[str, int]) -> Batch:
        """A padded batch of some rows."""
        return self.backbone.prepare(self.task.collate(store.take(rows), shape, self.facts))


def lengths_of(store: ColumnStore) -> np.ndarray:
    """Tokens of each example, (rows,)."""
    tokens = store.columns["tokens"]
    assert isinstance(tokens, Ragged)
    return np.diff(tokens.offsets)


def ordered_batches(
    recipe: Recipe, store: ColumnStore, batch_size: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Every row once, with its place in the store, in batches of like length."""
    lengths = lengths_of(store)
    widths = bucket_widths(int(lengths.max(initial=0)))
    for rows in in_order(lengths, batch_size):
        longest = int(lengths[rows].max(initial=0))
        width = next(width for width in widths if width >= longest)
        yield rows, recipe.batch(store, rows, {"batch": batch_size, "time": width})


def evaluate(
    engine: Engine,
    recipe: Recipe,
    store: ColumnStore,
    metrics: Sequence[Metric],
    batch_size: int,
) -> dict[str, Any]:
    """`loss` and every metric's entries, on a whole split."""
    total = weight = 0.0
    for _, batch in ordered_batches(recipe, store, batch_size):
        part, share = engine.loss(batch)
        total, weight = total + part, weight + share
        outcome = recipe.task.outcome(engine.forward(batch), batch)
        for metric in metrics:
            metric.update(outcome)
    scores: dict[str, Any] = {"loss": total / max(weight, 1e-12)}
    for metric in metrics:
        scores.update(metric.compute())
    return scores


def make_metrics(
    choices: Sequence[Choice], registry: Registry, task: Task, facts: Facts
) -> list[Metric]:
    """Fresh metrics for one evaluation."""
    context = MetricContext(labels=tuple(facts.get("labels", ())), produces=task.produces)
    return [
        registry.usable("metric", choice.type).load()(choice.config, context) for choice in choices
    ]
