"""What is learnt from examples, and how it is scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import frozen

from loomlm.contracts.data import Columns, Example, Facts, Tokenizer
from loomlm.contracts.models import Batch, BatchSpec, Head, Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen
class Outcome:
    """Predictions and references of some examples, as a task's metrics take them.

    What they are goes by what a task produces:
    "classes": (n,) integers. "label_sets": (n, labels) of 0 and 1. "numbers": (n,) floats.
    "tag_sequences": n sequences of integers, one a word, of equal lengths in both.
    "texts": n texts, and for each of them a sequence of texts that are right, maybe none.
    "tokens": (n,) integers, ids of the vocabulary.
    scores: of classes and label sets the probabilities, (n, labels); else None.
    """

    predictions: Any
    references: Any
    scores: NDArray[Any] | None = None


class Task(Protocol):
    """What to learn from an example. A `task` target is called with its config.

    A task is a Predicts too where its answer is read off the logits, a Joins where an example may
    be several rows, and a Generates where it writes text.

    needs: capabilities that the backbone must have; with "causal" among them, no token sees those
        behind it. With "encoder_decoder", what `tokens` says is read besides a source, which the
        other arrays hold: no token sees those behind it, each sees the whole source. By
        convention that is `source` (batch, time), of which a row has `source_length` (batch,).
        `tokens` are of the vocabulary of what is written: `loomlm.plugin.target_of`.
    produces: what metrics get, one kind or a frozenset of several: "classes", "label_sets",
        "numbers", "tag_sequences", "texts" or "tokens", in an Outcome; "likelihood", a Likelihood;
        "pseudo_likelihood", one of tokens that each were told from those on both sides.
    context: the most tokens of a row.
    stream: False where an example is a row. True where the tokens of all examples, end to end,
        are cut into rows of `context` tokens, each with the token that follows it.
    A task with `stream` may also have `packed`; where it is True, a row has the tokens of several
    whole examples, each of which takes one place less than it has tokens: the last is predicted
    alone. An example that takes more than `context` places is cut. A column `learnt`, with a value
    for each token, comes along with them.
    A task may have `reads`, the names of an example's `extra` that it needs besides its text; one
    that writes is not asked with "target".
    A task may have `vary(rows, facts, keys)`: the columns of some rows, otherwise each time that
    they are trained on: masked, say. keys: a number a row, uint64, that says how: the same for the
    same seed, step and row, whatever stands beside it; in evaluation for the same row. See
    `loomlm.plugin.uniforms`. It comes between `encode` and `collate`.
    A task may have `hides`, True of the target too, where it hides tokens from the model: then the
    run's tokenizer has a `mask_id`.
    A task may have `check_facts(facts)`, called before a model's folder is used: raises ValueError
    for facts that `fit` never gives.
    """

    needs: frozenset[str]
    produces: str | frozenset[str]
    default_metrics: tuple[str, ...]
    context: int
    stream: bool

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """Facts of the training examples and of the vocabulary.

        Raises DataError when the examples cannot be learnt from.
        """
        ...

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """Columns of the examples: `tokens`, ragged, and what else `collate` needs.

        `length`, where it is given, (rows,), is what forms the buckets in place of the tokens'
        own lengths. `example`, (rows,), of a Joins, is which example a row is of. `bytes`
        and `words`, (rows,), are the size of the texts in UTF-8, and how many words white space
        parts, for a Likelihood.
        labelled: whether labels are wanted; then one that `facts` lacks is a DataError that
        names the example's place.
        """
        ...

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """The arrays that `collate` makes, for the given sizes of `batch` and `time`."""
        ...

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A batch of at most `shape["batch"]` rows, padded; `weight` is 0 for what is padding.

        With `stream`, rows hold `tokens` alone, of at most `context` + 1. With `packed` they hold
        `pieces` too, ragged: how many tokens each of a row's examples has; and `learnt`.
        Tokens are padded with 0 where `length` (batch,) says that a row has ended.
        """
        ...

    def head(self, facts: Facts) -> Head:
        """The head that the task puts on a backbone."""
        ...

    def loss(self, facts: Facts) -> Loss:
        """The loss on the head's logits."""
        ...


def produced(task: Task) -> frozenset[str]:
    """The kinds of what a task gives to metrics."""
    kinds = task.produces
    return frozenset({kinds}) if isinstance(kinds, str) else kinds


@runtime_checkable
class Predicts(Protocol):
    """A task whose answer is read off the logits.

    One whose numbers are learnt in another unit than the data's may have
    `in_unit(outcome, facts) -> Outcome`: what metrics get.
    """

    def outcome(self, logits: NDArray[Any], batch: Batch) -> Outcome:
        """What metrics compare, padding left out."""
        ...

    def decode(self, logits: NDArray[Any], facts: Facts) -> list[dict[str, Any]]:
        """One JSON object a row, for the user."""
        ...


@runtime_checkable
class Joins(Protocol):
    """A task whose answer for an example is put together from what several rows say.

    Its columns have `example`, int32 (rows,): the number of a row's example among those that were
    given to `encode`, from 0. Every example has a row, and its rows stand one behind another.
    """

    def read(self, logits: NDArray[Any], rows: Columns, facts: Facts) -> list[Any]:
        """What each row says by itself, in few bytes: it is kept until all rows are read.

        logits: of these rows alone, without what pads a batch.
        """
        ...

    def joined(self, found: Sequence[Sequence[Any]], facts: Facts) -> Outcome:
        """What metrics compare, of some examples; of each what its rows say, in their order."""
        ...

    def answer(self, found: Sequence[Any], facts: Facts) -> dict[str, Any]:
        """One JSON object for the user, from what the rows of an example say, in their order."""
        ...


@runtime_checkable
class Fills(Protocol):
    """A Predicts whose answers are words of the vocabulary: `filled` is asked, not `decode`."""

    def filled(
        self, logits: NDArray[Any], rows: Columns, tokenizer: Tokenizer, facts: Facts
    ) -> list[dict[str, Any]]:
        """One JSON object a row, for the user. rows: as `encode` gave them, without labels."""
        ...


@runtime_checkable
class Generates(Protocol):
    """A task that writes text."""

    def prompt(self, texts: Sequence[str], tokenizer: Tokenizer, facts: Facts) -> Batch:
        """What the model reads first: `tokens` (batch, time) and `length` (batch,), at least 1.

        The new tokens follow the last of each row. What else the backbone reads, a source say, is
        in the batch too; every array has a row for each text.
        Raises DataError for a text that the vocabulary has nothing of.
        """
        ...


@runtime_checkable
class Writes(Protocol):
    """A task that writes text, and is scored by it: it produces "texts", and is a Generates."""

    def ask(self, rows: Columns, facts: Facts) -> Batch:
        """What the model reads before it answers some rows, as `prompt` of a Generates.

        rows: examples as `encode` gives them, each a row, also where training packs several in one;
        encoded without labels to predict.
        """
        ...

    def compare(self, rows: Columns, texts: Sequence[str], facts: Facts) -> Outcome:
        """What the model wrote for each row, without white space around it, and what is right."""
        ...

    def how(self) -> Mapping[str, Any]:
        """How it writes where nobody says otherwise: keywords of `loomlm.inference.Decoding`."""
        ...


@frozen
class Likelihood:
    """How likely a whole split's tokens are to a model.

    loss: the sum of the negative logarithms, in nats. tokens: how many were predicted.
    bytes: the size of their text in UTF-8. words: how many white space parts it into; 0 where the
    task does not count them.
    """

    loss: float
    tokens: float
    bytes: int
    words: int = 0


@frozen(kw_only=True)
class MetricContext:
    """What a metric is told before it starts: label names in the order of their ids.

    produces: which of the kinds that it accepts it will get.
    """

    labels: tuple[str, ...]
    produces: str


class Metric(Protocol):
    """A streaming score. A `metric` target is called with (config, MetricContext).

    accepts: values of a task's `produces` that it can score.
    higher_is_better: for choosing the best checkpoint and for early stopping.
    The target has both too, so that a config is checked before there is data. It may have
    `beside`, the names of metrics that are scored wherever it is, with their defaults; and `note`,
    a sentence for whoever reads the score. One of classes may have `of_matrices(matrices)`: its
    scores of confusion matrices (n, labels, labels), a row a reference; then resamples are fast.
    """

    accepts: frozenset[str]
    higher_is_better: bool

    def update(self, outcome: Outcome | Likelihood) -> None:
        """Take in some examples; the order and the cut do not matter."""
        ...

    def compute(self) -> Mapping[str, Any]:
        """The score under the metric's name; further entries as `name/detail`."""
        ...
