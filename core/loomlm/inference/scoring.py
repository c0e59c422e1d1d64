"""Evaluates an engine on a split: streaming metrics and the mean loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.config.settings import Choice
from loomlm.contracts import (
    Backbone,
    Batch,
    Columns,
    Engine,
    Facts,
    Joins,
    Likelihood,
    Metric,
    MetricContext,
    Outcome,
    Predicts,
    Task,
    Tokenizer,
    Writes,
    produced,
)
from loomlm.data.batches import Rows, TrainingRows
from loomlm.data.orders import row_keys
from loomlm.data.words import WordDropout
from loomlm.extending import Extensions
from loomlm.inference.joining import Joining
from loomlm.inference.memory import memory_for, size_of
from loomlm.registry import Registry

Seen = Callable[[np.ndarray, Outcome], None]
"""Is shown the rows of a batch, (n,), and what came of them."""

Write = Callable[[Rows, int, Callable[[], None]], Iterator[tuple[np.ndarray, Outcome]]]
"""Writes for each row of a split: `loomlm.inference.generate.Generator.outcomes`."""

LIKELIHOODS = frozenset({"likelihood", "pseudo_likelihood"})
"""Of what a task produces, that which is one Likelihood of the whole split."""


@frozen
class Recipe:
    """How a stage makes batches and its model: task, backbone, facts, and what extends them.

    dropout: of words, in training alone.
    """

    task: Task
    backbone: Backbone
    facts: Facts
    extensions: Extensions = Extensions()
    dropout: WordDropout | None = None

    def batch(
        self,
        split: TrainingRows,
        rows: np.ndarray,
        shape: Mapping[str, int],
        seed: int = 0,
        step: int = 0,
        training: bool = False,
    ) -> Batch:
        """A padded batch of some rows. seed, step: what a task that varies them goes by."""
        columns = self.varied(split.take(rows), rows, seed, step)
        batch = self.task.collate(columns, shape, self.facts)
        if training and self.dropout is not None:
            batch = self.dropout(batch, seed, step)
        return self.backbone.prepare(batch)

    def varied(self, columns: Columns, rows: np.ndarray, seed: int = 0, step: int = 0) -> Columns:
        """The columns of some rows as a task that varies them has them at a step."""
        vary = getattr(self.task, "vary", None)
        return columns if vary is None else vary(columns, self.facts, row_keys(seed, step, rows))


def told(backbone: Backbone, tokenizer: Tokenizer) -> Backbone:
    """A backbone with what it has to know of the vocabulary."""
    tell = getattr(backbone, "told", None)
    return backbone if tell is None else tell(tokenizer)


def ordered_batches(
    recipe: Recipe, split: Rows, batch_size: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Every row once, with its place in the split."""
    for rows, width in split.ordered(batch_size):
        yield rows, recipe.batch(split, rows, {"batch": len(rows), "time": width})


def evaluate(
    engine: Engine,
    recipe: Recipe,
    split: Rows,
    metrics: Sequence[Metric],
    batch_size: int,
    between: Callable[[], None] = lambda: None,
    what: str = "a split",
    write: Write | None = None,
    seen: Seen | None = None,
) -> dict[str, Any]:
    """`loss` and every metric's entries, on a whole split.

    between: called before each batch; what it raises ends the evaluation. what: the split's name
    for a user whose memory it does not fit into. write: what a task that writes is scored by;
    without it, scores of texts that it would have to write first are left out. seen: shown every
    outcome, with the numbers of its examples, whether there is a metric for it or not.
    """
    task = recipe.task
    by_writing = [metric for metric in metrics if is_written(task, metric)]
    joining = Joining(task, recipe.facts) if isinstance(task, Joins) else None
    likelihoods = [metric for metric in metrics if kind_of(task, metric) in LIKELIHOODS]
    outcomes = [
        metric
        for metric in metrics
        if not is_written(task, metric) and kind_of(task, metric) not in LIKELIHOODS
    ]
    # Those of a large vocabulary are handed over for a metric alone.
    predicts = isinstance(task, Predicts | Joins) and bool(outcomes or seen)
    show = seen or (lambda rows, outcome: None)
    total = weight = 0.0
    for rows, batch in ordered_batches(recipe, split, batch_size):
        between()
        with memory_for(lambda batch=batch: _too_large(what, batch)):
            part, logits = engine.score(batch, logits=predicts)
        total, weight = total + part, weight + float(batch["weight"].sum())
        if logits is not None and joining is not None:
            joining.add(rows, split.take(rows), logits)
        elif logits is not None and isinstance(task, Predicts):
            outcome = outcome_of(task, logits, batch, recipe.facts)
            show(rows, outcome)
            for metric in outcomes:
                metric.update(outcome)
    for numbers, outcome in joining.outcomes() if joining is not None else ():
        show(numbers, outcome)
        for metric in outcomes:
            metric.update(outcome)
    for metric in likelihoods:
        metric.update(Likelihood(total, weight, split.bytes, split.words))
    if write is not None and (by_writing or seen):
        for rows, outcome in write(split, batch_size, between):
            show(rows, outcome)
            for metric in by_writing:
                metric.update(outcome)
    scores: dict[str, Any] = {"loss": total / max(weight, 1e-12)}
    for metric in metrics:
        if write is not None or not is_written(task, metric):
            scores.update(metric.compute())
    return scores


def outcome_of(task: Predicts, logits: np.ndarray, batch: Batch, facts: Facts) -> Outcome:
    """What metrics compare, in the unit of the data."""
    outcome = task.outcome(logits, batch)
    in_unit = getattr(task, "in_unit", None)
    return outcome if in_unit is None else in_unit(outcome, facts)


def is_written(task: Task, metric: Any) -> bool:
    """Whether a metric, or its target, scores what a task has to write first."""
    return isinstance(task, Writes) and kind_of(task, metric) == "texts"


def _too_large(what: str, batch: Batch) -> str:
    return (
        f"To score {what}, a batch had {size_of([batch])}. Lower trainer.evaluation_batch_size "
        "(`loomlm evaluate` takes --batch-size)."
    )


def make_metrics(
    choices: Sequence[Choice], registry: Registry, task: Task, facts: Facts
) -> list[Metric]:
    """Fresh metrics for one evaluation, and those that are scored beside them."""
    labels = tuple(facts.get("labels", ()))
    targets = [
        (registry.target("metric", choice.type), choice.config)
        for choice in with_those_beside(choices, registry)
    ]
    return [
        target(config, MetricContext(labels=labels, produces=kind_of(task, target)))
        for target, config in targets
    ]


def with_those_beside(choices: Sequence[Choice], registry: Registry) -> list[Choice]:
    """The metrics, and what is scored wherever they are, with defaults."""
    found = {choice.type: choice for choice in choices}
    for choice in choices:
        for name in getattr(registry.target("metric", choice.type), "beside", ()):
            config = registry.find("metric", name).component.config
            found.setdefault(name, Choice("metric", name, config()))
    return list(found.values())


def kind_of(task: Task, metric: Any) -> str:
    """Which of the kinds that a task produces a metric, or its target, gets."""
    return min(produced(task) & metric.accepts, default="")
