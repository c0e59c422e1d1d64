"""The contracts between the core and a plugin's components.

Data classes are attrs; a contract is a protocol, so a plugin inherits from nothing. numpy is named
in annotations only: importing this module costs what importing attrs costs.

Terms used throughout: a *split* is a named part of a data set ("train", "validation", "test");
*facts* are what a task learnt from the training examples before training (its labels, say), a
JSON object that is saved with the model; a *microbatch* is the unit of accumulation and of
distribution; `weight` in a batch is what an item counts in the loss, 0 for padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loomlm.config.settings import TrainerConfig

Facts = Mapping[str, Any]
Arrays = Mapping[str, "NDArray[Any]"]


# --- data ------------------------------------------------------------------------------------


@frozen(slots=True)
class Example:
    """One example as a source gives it.

    label: one label, several (multi-label), or None where there is none.
    extra: further text fields by name, for tasks that read more than one.
    place: "file:line" or "hub-id[split]:row", for error messages.
    """

    text: str
    label: str | tuple[str, ...] | None = None
    extra: Mapping[str, str] = field(factory=dict)
    place: str = ""


@frozen(slots=True)
class Ragged:
    """Rows of unequal length, end to end: row i is `values[offsets[i]:offsets[i + 1]]`.

    values: (total,) integers. offsets: (rows + 1,) int64, starting at 0.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]


Columns = Mapping[str, "Ragged | NDArray[Any]"]
"""Encoded examples: each column has one row for each example."""


class DataSource(Protocol):
    """Named splits of examples. A `data_source` target is called with its config.

    The target may also have `look(options) -> options`: complete the keys of a data table by
    looking at the files that it names (columns, headers), for `loomlm init`; and
    `with_file(options, file) -> options`: the keys that read another file as the test split, for
    `loomlm evaluate --data`.
    """

    def fingerprint(self) -> str:
        """A digest of the content: changes when, and only when, the examples may."""
        ...

    def splits(self) -> tuple[str, ...]:
        """The splits that the source has itself, of "train", "validation" and "test"."""
        ...

    def examples(self, split: str) -> Iterator[Example]:
        """The split's examples, in an order that is the same each time.

        Raises DataError, naming file and line, where something cannot be read.
        """
        ...

    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about what was read so far, e.g. how many lines were skipped."""
        ...


@frozen(kw_only=True)
class DataSummary:
    """What a split looks like, for a template's rules.

    labels: how often each label occurs; empty without labels. words: words a text, by white
    space, at the given percentiles (0.5, 0.95, 1.0). total_words, characters: of all texts.
    markup: share of texts that hold HTML tags.
    """

    examples: int
    labels: Mapping[str, int]
    multi_label: bool
    words: Mapping[float, int]
    total_words: int
    characters: int
    markup: float


@frozen(kw_only=True)
class TemplateContext:
    """What `loomlm init` was told and found.

    name: the run's. data: the data table, None where no file was given. train: the training
    split, None likewise.
    """

    name: str
    backend: str
    data: Mapping[str, Any] | None
    train: DataSummary | None
    has_validation: bool
    has_test: bool


class Cleaner(Protocol):
    """One cleaning step. A `cleaner` target is called with its config."""

    def __call__(self, text: str) -> str:
        """The cleaned text; a pure function of the text."""
        ...


class Tokenizer(Protocol):
    """Text to ids and back.

    vocab_size: ids are below it. pad_id fills batches. unknown_id stands for what the vocabulary
    lacks (None where nothing can be unknown). end_id ends a document (None without one).
    """

    vocab_size: int
    pad_id: int
    unknown_id: int | None
    end_id: int | None

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        """Ids of each text, (texts,) rows of int32, without padding or truncation."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, special tokens left out."""
        ...

    def vocabulary(self) -> Mapping[str, int]:
        """Each token with its id."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """What to save, by file name; the factory's `load` takes it back."""
        ...


class TokenizerFactory(Protocol):
    """What a `tokenizer` component's target is: an object with two methods, or a class."""

    def train(self, config: Any, texts: Iterable[str]) -> Tokenizer:
        """Learn a vocabulary from texts, or read the one that the config names.

        Raises UsageError when the config cannot be met, e.g. a vocabulary too small.
        """
        ...

    def load(self, config: Any, files: Mapping[str, bytes]) -> Tokenizer:
        """The tokenizer that `files` came from."""
        ...


# --- batches ---------------------------------------------------------------------------------


@frozen
class BatchField:
    """One array of a batch: dtype, and a shape of sizes and symbols, e.g. `("batch", "time")`."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


@frozen
class BatchSpec:
    """The arrays of a batch, and the closed set of sizes that their symbols take.

    shapes: one mapping of symbol to size for each shape that may occur; an engine that compiles
    compiles that many programs at most.
    """

    fields: tuple[BatchField, ...]
    shapes: tuple[Mapping[str, int], ...]


@frozen
class Batch:
    """Arrays by name, as the BatchSpec says. Every batch has `weight`."""

    arrays: Arrays

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays


# --- models ----------------------------------------------------------------------------------


@frozen
class Normal:
    """Initial values from a normal distribution with mean 0."""

    std: float


@frozen
class Uniform:
    """Initial values from [-bound, bound)."""

    bound: float


@frozen
class Constant:
    """The same initial value everywhere."""

    value: float


@frozen(kw_only=True)
class Parameter:
    """An entry of a layout: what a parameter is, the same for every backend.

    name: canonical, dotted; the name in every checkpoint. No `/`.
    role: what optimizers go by: a matrix, an embedding table, or a vector (biases, norms).
    decay: whether weight decay applies. learning_rate_scale multiplies the step's learning rate.
    tied_to: the name of the parameter whose values this one shares; it is then not stored.
    sparse: rows are updated only when a global batch touches them (see `docs/design.md`).
    """

    name: str
    shape: tuple[int, ...]
    init: Normal | Uniform | Constant
    role: Literal["matrix", "embedding", "vector"]
    decay: bool
    trainable: bool = True
    learning_rate_scale: float = 1.0
    tied_to: str | None = None
    sparse: bool = False


@frozen(kw_only=True)
class Head:
    """A linear layer from the backbone's hidden states to `outputs` logits, with bias.

    reads: "sequence" for one vector an example, (batch, width); "tokens" for (batch, time, width).
    """

    outputs: int
    reads: Literal["sequence", "tokens"]


@frozen(kw_only=True)
class Loss:
    """A loss that every trainer implements; the mean over a global batch, weighted by `weight`.

    cross_entropy: logits (..., classes) against int32 `label` (...).
    binary_cross_entropy: logits (..., classes) against float32 `label` (..., classes), the mean
    over classes.
    """

    kind: Literal["cross_entropy", "binary_cross_entropy"]
    label_smoothing: float = 0.0


@frozen(kw_only=True)
class ModelSpec:
    """All that a trainer needs to build a model: nothing in it belongs to a framework.

    layout: the parameters of the backbone, then of the head (`head.weight` (outputs, width),
    `head.bias` (outputs,)).
    """

    backbone: str
    config: Any
    vocab_size: int
    pad_id: int
    layout: tuple[Parameter, ...]
    head: Head
    loss: Loss
    batch: BatchSpec


@frozen(kw_only=True)
class BackboneContext:
    """What a backbone is told before its layout is made."""

    vocab_size: int
    pad_id: int
    reads: Literal["sequence", "tokens"]


@frozen(kw_only=True)
class FitContext:
    """What a backbone may learn from before training: the tokenizer and the training tokens."""

    tokenizer: Tokenizer
    tokens: Ragged


@frozen(kw_only=True)
class Fitted:
    """Starting values that come from data or files, with sentences for the user about them.

    rows: for each parameter, the rows that it gives and their values; the others keep their
    initial values.
    """

    rows: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]] = field(factory=dict)
    notes: tuple[str, ...] = ()


class Backbone(Protocol):
    """A model's body, as every backend sees it. A `backbone` target is called with its config.

    capabilities: of "sequence" (can give one vector an example), "tokens" (one a token),
    "causal", "bidirectional", "encoder_decoder".
    width: of the hidden states that it gives.
    threads: CPU threads that its operations are worth, None for all; small ones lose by sharing.
    A Builder for each backend makes the module; its parameters bear the layout's names.
    """

    capabilities: frozenset[str]
    width: int
    threads: int | None

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        """The layout."""
        ...

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """The task's spec with what `prepare` adds or takes away."""
        ...

    def prepare(self, batch: Batch) -> Batch:
        """Add what the module reads, in numpy; pure. Called on whole batches before cutting."""
        ...

    def fit(self, context: FitContext) -> Fitted:
        """Starting values from data or files; `Fitted()` for none."""
        ...


# --- tasks -----------------------------------------------------------------------------------


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


# --- metrics ---------------------------------------------------------------------------------


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


# --- training --------------------------------------------------------------------------------


@frozen(kw_only=True)
class StepContext:
    """What an update is told: the step, counted from 1, the run's seed, the learning rate."""

    step: int
    seed: int
    learning_rate: float


@frozen(kw_only=True)
class StepScalars:
    """What came out of an update; `finite` is false when it was masked."""

    step: int
    loss: float
    gradient_norm: float
    finite: bool


class Engine(Protocol):
    """A model in a framework, ready to train or to run. Made by a Trainer.

    module: the framework's own model object.
    """

    module: Any

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """Forward, backward, accumulate, clip, update; does not wait for the device.

        The loss is the sum of the weighted losses over all microbatches, divided by the sum of
        their weights: how the global batch was cut does not matter. Dropout is keyed
        (seed, step, microbatch, layer). A gradient that is not finite leaves the model alone.
        """
        ...

    def scalars(self) -> list[StepScalars]:
        """What the updates since the last call gave; waits for the device."""
        ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Logits, dropout off: (batch, outputs), or (batch, time, outputs) for a token head."""
        ...

    def loss(self, batch: Batch) -> tuple[float, float]:
        """Sum of the weighted losses and sum of the weights, dropout off."""
        ...

    def state(self, part: Literal["model", "optimizer"]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Arrays by canonical name; the optimizer's as `name.slot`. Valid until the next step."""
        ...

    def load_state(
        self, part: Literal["model", "optimizer"], arrays: Iterable[tuple[str, NDArray[Any]]]
    ) -> None:
        """Take back what `state` gave, on this backend or another."""
        ...


@frozen(kw_only=True)
class Device:
    """A device that a backend can use, with why it would (not) be chosen."""

    name: str
    description: str


class Trainer(Protocol):
    """A backend. A `trainer` target is called with its own config (`[backends.NAME]`)."""

    def devices(self) -> tuple[Device, ...]:
        """Usable devices, the one that `auto` takes first."""
        ...

    def resolve(self, trainer: TrainerConfig, backbone: Backbone) -> Mapping[str, tuple[Any, str]]:
        """For each key of the trainer config that is "auto": the value taken, and the reason.

        Raises UsageError for a device or precision that cannot be had here.
        """
        ...

    def engine(
        self,
        spec: ModelSpec,
        trainer: TrainerConfig,
        builders: Callable[[str, str], Builder_],
    ) -> Engine:
        """An engine with uninitialised weights. `builders(kind, name)` gives this backend's
        builder of a backbone or an optimizer.
        """
        ...


Builder_ = Any
"""What a Builder's target is: its form is the backend's (see `docs/write-a-plugin.md`)."""


# --- events ----------------------------------------------------------------------------------


@frozen(kw_only=True)
class RunStarted:
    """A run begins, or goes on: its folder, and its config as plain values."""

    folder: str
    config: Mapping[str, Any]
    resumed: bool


@frozen(kw_only=True)
class Progress:
    """Something that takes a while began, e.g. reading data; or a fact worth a line."""

    message: str


@frozen(kw_only=True)
class StageStarted:
    """A stage begins to train, at `step` of `steps`."""

    stage: str
    step: int
    steps: int
    parameters: int
    folder: str


@frozen(kw_only=True)
class StepsEnded:
    """Some updates ended: their scalars, and the pace since the stage began (or resumed)."""

    stage: str
    scalars: tuple[StepScalars, ...]
    learning_rates: tuple[float, ...]
    steps: int
    examples_per_second: float
    tokens_per_second: float
    seconds_left: float


@frozen(kw_only=True)
class Evaluated:
    """A split was evaluated after `step`."""

    stage: str
    step: int
    split: str
    metrics: Mapping[str, Any]


@frozen(kw_only=True)
class CheckpointSaved:
    """A checkpoint is complete on disk."""

    stage: str
    step: int
    folder: str


@frozen(kw_only=True)
class StageEnded:
    """A stage has trained: after how many steps, and why it stopped if before the last."""

    stage: str
    step: int
    reason: str


@frozen(kw_only=True)
class RunEnded:
    """The run is over; `error` says why if it failed or was stopped."""

    folder: str
    evaluation: Mapping[str, Any]
    error: str | None
