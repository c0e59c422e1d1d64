"""What is learnt from examples, and how it is scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from loomlm.contracts.data import Columns, Example, Facts, Tokenizer
from loomlm.contracts.models import Batch, BatchSpec, Head, Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen
class Outcome:
    """Predictions and references of some examples, as a task's metrics take them."""

    predictions: NDArray[Any]
    references: NDArray[Any]


class Task(Protocol):
    """What to learn from an example. A `task` target is called with its config.

    needs: capabilities that the backbone must have.
    produces: what an Outcome holds: "classes" (integers), "label_sets" (0/1, one column a label).
    """

    needs: frozenset[str]
    produces: str
    default_metrics: tuple[str, ...]

    def fit(self, examples: Iterable[Example]) -> Facts:
        """Facts of the training examples; raises DataError when they cannot be learnt from."""
        ...

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """Columns of the examples. `tokens`, ragged, is the one whose lengths form the buckets.

        labelled: whether labels are wanted; then one that `facts` lacks is a DataError that
        names the example's place.
        """
        ...

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """The arrays that `collate` makes, for the given sizes of `batch` and `time`."""
        ...

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A batch of at most `shape["batch"]` rows, padded; `weight` is 0 for what is padding.

        Tokens are padded with 0 where `length` (batch,) says that a row has ended.
        """
        ...

    def head(self, facts: Facts) -> Head:
        """The head that the task puts on a backbone."""
        ...

    def loss(self, facts: Facts) -> Loss:
        """The loss on the head's logits."""
        ...

    def outcome(self, logits: NDArray[Any], batch: Batch) -> Outcome:
        """What metrics compare, padding left out."""
        ...

    def decode(self, logits: NDArray[Any], facts: Facts) -> list[dict[str, Any]]:
        """One JSON object a row, for the user."""
        ...


@frozen(kw_only=True)
class MetricContext:
    """What a metric is told before it starts: label names in the order of their ids."""

    labels: tuple[str, ...]
    produces: str


class Metric(Protocol):
    """A streaming score. A `metric` target is called with (config, MetricContext).

    accepts: values of a task's `produces` that it can score.
    higher_is_better: for choosing the best checkpoint and for early stopping.
    The target has both too, so that a config is checked before there is data.
    """

    accepts: frozenset[str]
    higher_is_better: bool

    def update(self, outcome: Outcome) -> None:
        """Take in some examples; the order and the cut do not matter."""
        ...

    def compute(self) -> Mapping[str, Any]:
        """The score under the metric's name; further entries as `name/detail`."""
        ...
