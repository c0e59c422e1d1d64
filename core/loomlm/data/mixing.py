"""Rows of several sources in one split, each with its share of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from attrs import frozen

from loomlm.contracts import Columns, Ragged
from loomlm.data.batches import BatchPlan, ExampleRows, IndexedRows
from loomlm.data.budgets import Budgeted, TokenPlan
from loomlm.data.columns import take_rows
from loomlm.data.orders import Mixing, apportioned
from loomlm.data.plans import BatchSize, Plan
from loomlm.data.windows import WalkPlan


@frozen
class Mixed:
    """Rows of several sources, all of one kind: examples, or rows of one width.

    An epoch has as many rows as all sources together, and of each source as many as its weight
    says, to within one. A source with more rows than that goes on in the next epoch where it
    stopped; one with fewer begins again, in another order, in the same epoch. So over all epochs
    its rows come equally often, to within one. In evaluation every row comes once, source by
    source.

    parts: of each source. weights: of each, above 0; their proportions count. A row is named by its
    number in its source and the spans of those before it.
    """

    parts: Sequence[IndexedRows]
    weights: Sequence[float]

    def __attrs_post_init__(self) -> None:
        examples = [isinstance(part, ExampleRows) for part in self.parts]
        assert all(examples) or len({part.widths for part in self.parts}) == 1
        assert len(self.parts) == len(self.weights)
        assert all(weight > 0 for weight in self.weights)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(part.span for part in self.parts)])

    @property
    def widths(self) -> tuple[int, ...]:
        return max((part.widths for part in self.parts), key=len)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def words(self) -> int:
        return sum(part.words for part in self.parts)

    @property
    def span(self) -> int:
        return int(self._starts[-1])

    @property
    def counts(self) -> tuple[int, ...]:
        """How many rows of each source an epoch has."""
        total = sum(part.order(0).count for part in self.parts)
        return apportioned(total, self.weights)

    def order(self, seed: int, stream: int = 0) -> Mixing:
        first = stream * (len(self.parts) + 1)
        orders = [part.order(seed, first + 1 + index) for index, part in enumerate(self.parts)]
        starts = tuple(self._starts[:-1].tolist())
        return Mixing(orders, self.counts, starts, seed, first)

    def take(self, rows: np.ndarray) -> Columns:
        source = self._source(rows)
        places = np.argsort(source, kind="stable")
        columns = [part.take(own) for part, own in self._cut(rows[places], source[places])]
        back = np.empty_like(places)
        back[places] = np.arange(len(places))
        return {
            name: take_rows(_joined([one[name] for one in columns]), back) for name in columns[0]
        }

    def tokens(self, rows: np.ndarray) -> int:
        return sum(part.tokens(own) for part, own in self._cut(rows, self._source(rows)))

    def plan(self, size: BatchSize, seed: int) -> Plan:
        examples = [part for part in self.parts if isinstance(part, ExampleRows)]
        if not examples:
            (width,) = self.widths
            return WalkPlan(self.order(seed), width, size.rows(width))
        if size.examples is None:
            triples = zip(examples, self.counts, self._starts.tolist(), strict=False)
            parts = [Budgeted(part.lengths, taken, start) for part, taken, start in triples]
            return TokenPlan.of(parts, size, seed, examples[0].most)
        lengths = np.concatenate([part.lengths for part in examples])
        return BatchPlan(self.order(seed), lengths, size.examples, seed, examples[0].most)

    def ordered(self, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        for part, start in zip(self.parts, self._starts.tolist(), strict=False):
            for rows, width in part.ordered(batch_size):
                yield rows + start, width

    def _source(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._starts, rows, side="right") - 1

    def _cut(
        self, rows: np.ndarray, source: np.ndarray
    ) -> Iterator[tuple[IndexedRows, np.ndarray]]:
        """The rows of each source, by their numbers there; at least one source."""
        for index in np.unique(source).tolist() or [0]:
            yield self.parts[index], rows[source == index] - self._starts[index]


def _joined(columns: Sequence[Ragged | np.ndarray]) -> Ragged | np.ndarray:
    """Columns end to end."""
    ragged = [column for column in columns if isinstance(column, Ragged)]
    if not ragged:
        return np.concatenate([np.asarray(column) for column in columns])
    values = np.concatenate([column.values for column in ragged])
    lengths = np.concatenate([np.diff(column.offsets) for column in ragged])
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))
